#include "data/sampler/permutation.h"

#include <bit>

#include "framework/base/error.h"

namespace longhaul::data {
namespace {

uint64_t mix64(uint64_t x) {  // finaliser of splitmix64
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9u;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

}  // namespace

int64_t permuted(uint64_t seed, int64_t epoch, int64_t n, int64_t index) {
  check<InternalError>(epoch >= 0 && 0 <= index && index < n, "slot {} of {} samples in epoch {}", index, n, epoch);
  int bits = std::bit_width(static_cast<uint64_t>(n - 1));  // ceil(log2 n)
  if (bits < 2) bits = 2;
  bits += bits % 2;
  const int half = bits / 2;
  const uint64_t mask = (uint64_t{1} << half) - 1;
  const uint64_t key = mix64(seed ^ mix64(static_cast<uint64_t>(epoch) + 1));
  uint64_t value = static_cast<uint64_t>(index);
  do {
    uint64_t left = value >> half;
    uint64_t right = value & mask;
    for (uint64_t round = 0; round < 6; ++round) {
      const uint64_t f = mix64(right + 0x9E3779B97F4A7C15u * (round + 1) + key);
      const uint64_t next = left ^ (f & mask);
      left = right;
      right = next;
    }
    value = left << half | right;
  } while (value >= static_cast<uint64_t>(n));
  return static_cast<int64_t>(value);
}

}  // namespace longhaul::data
