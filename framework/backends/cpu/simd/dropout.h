// defines: leaf of dropout
#pragma once
#include "framework/backends/cpu/simd/functions.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

typedef uint64_t Longs __attribute__((vector_size(4 * kLanes)));

/// Both halves of the 64-bit products of 32-bit lanes.
LONGHAUL_INLINE void multiply(Words a, uint32_t factor, Words& high, Words& low) {
  const Longs wide = reinterpret_cast<Longs>(a);
#if defined(__AVX512F__)
  const __m512i by = reinterpret_cast<__m512i>(broadcast_word(factor));
  const Longs even = reinterpret_cast<Longs>(_mm512_maskz_mul_epu32(0xff, reinterpret_cast<__m512i>(wide), by));
  const Longs odd = reinterpret_cast<Longs>(_mm512_maskz_mul_epu32(0xff, reinterpret_cast<__m512i>(wide >> 32), by));
#elif defined(__AVX2__)
  const __m256i by = reinterpret_cast<__m256i>(broadcast_word(factor));
  const Longs even = reinterpret_cast<Longs>(_mm256_mul_epu32(reinterpret_cast<__m256i>(wide), by));
  const Longs odd = reinterpret_cast<Longs>(_mm256_mul_epu32(reinterpret_cast<__m256i>(wide >> 32), by));
#else
  const Longs even = (wide & 0xffffffffu) * uint64_t{factor};
  const Longs odd = (wide >> 32) * uint64_t{factor};
#endif
  // Little-endian lanes: the even lane is the low half of its pair.
  low = reinterpret_cast<Words>((even & 0xffffffffu) | (odd << 32));
  high = reinterpret_cast<Words>((even >> 32) | (odd & ~uint64_t{0xffffffffu}));
}

/// Words of the 4 kLanes elements that begin with block `index`: Philox4x32-10 on kLanes counters at once.
LONGHAUL_INLINE void random_words(uint64_t index, const uint32_t* key, const uint32_t* place, uint32_t* words) {
  const Words low_start = broadcast_word(static_cast<uint32_t>(index));
  const Words c0 = low_start + reinterpret_cast<Words>(kLaneIndex);
  const Words carry = reinterpret_cast<Words>(c0 < low_start) & 1u;
  Words counter[4] = {c0, broadcast_word(static_cast<uint32_t>(index >> 32)) + carry, broadcast_word(place[0]),
                      broadcast_word(place[1])};
  uint32_t k0 = key[0], k1 = key[1];
  for (int round = 0; round < 10; ++round) {
    Words high0, low0, high1, low1;
    multiply(counter[0], 0xD2511F53u, high0, low0);
    multiply(counter[2], 0xCD9E8D57u, high1, low1);
    counter[0] = high1 ^ counter[1] ^ k0;
    counter[1] = low1;
    counter[2] = high0 ^ counter[3] ^ k1;
    counter[3] = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  uint32_t lanes[4][kLanes];
  std::memcpy(lanes, counter, sizeof lanes);
  for (int block = 0; block < kLanes; ++block) {
    for (int word = 0; word < 4; ++word) words[4 * block + word] = lanes[word][block];
  }
}

template <typename T>
LONGHAUL_LEAF void dropout(const void* x_, void* y_, int64_t n, uint64_t first, uint32_t threshold, float scale,
                           const uint32_t* key, const uint32_t* place) {
  const T* x = in<T>(x_);
  T* y = out<T>(y_);
  constexpr int kGroup = 4 * kLanes;
  uint32_t words[kGroup];
  const auto apply = [&](const uint32_t* chosen, int64_t i, int64_t m) {
    Words w = {};
    if (m == kLanes)
      std::memcpy(&w, chosen, sizeof w);
    else
      std::memcpy(&w, chosen, static_cast<size_t>(m) * sizeof(uint32_t));
    put(y + i, select(w >= threshold, scale * take(x + i, m), Floats{}), m);
  };
  int64_t i = 0;
  uint64_t block = first / 4;
  for (int64_t skip = static_cast<int64_t>(first % 4); i < n; block += kLanes, skip = 0) {
    random_words(block, key, place, words);
    const int64_t count = kGroup - skip < n - i ? kGroup - skip : n - i;
    runs(count, [&](int64_t j, int64_t m) { apply(words + skip + j, i + j, m); });
    i += count;
  }
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
