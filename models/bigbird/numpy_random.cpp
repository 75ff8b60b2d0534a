#include "models/bigbird/numpy_random.h"

#include <bit>
#include <cstddef>
#include <utility>

namespace longhaul::models {

NumpyRandom::NumpyRandom(uint32_t seed) {
  words_[0] = seed;
  for (uint32_t n = 1; n < kWords; ++n) words_[n] = 1812433253u * (words_[n - 1] ^ (words_[n - 1] >> 30)) + n;
}

void NumpyRandom::twist() {
  for (size_t n = 0; n < kWords; ++n) {
    const uint32_t joined = (words_[n] & 0x80000000u) | (words_[(n + 1) % kWords] & 0x7fffffffu);
    words_[n] = words_[(n + kShift) % kWords] ^ (joined >> 1) ^ (joined & 1u ? 0x9908b0dfu : 0u);
  }
  at_ = 0;
}

uint32_t NumpyRandom::next() {
  if (at_ == kWords) twist();
  uint32_t y = words_[static_cast<size_t>(at_++)];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

uint32_t NumpyRandom::bounded(uint32_t max) {
  if (max == 0) return 0;
  const uint32_t mask = ~uint32_t{0} >> std::countl_zero(max);
  for (;;) {
    const uint32_t drawn = next() & mask;
    if (drawn <= max) return drawn;
  }
}

std::vector<int32_t> NumpyRandom::permutation(std::vector<int32_t> values) {
  for (size_t i = values.size(); i-- > 1;) std::swap(values[i], values[bounded(static_cast<uint32_t>(i))]);
  return values;
}

}  // namespace longhaul::models
