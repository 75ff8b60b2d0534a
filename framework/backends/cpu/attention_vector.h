// defines: exp2_fast, select_bits, keep_bits, bits_between, bits_equal, any_greater, transpose_block, Philox words
#pragma once
#include <utility>

#include "framework/backends/cpu/simd.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

inline constexpr int kTile = 64;
inline constexpr int kTileVectors = kTile / kLanes;  // vectors in a row of a tile
inline constexpr int kSide = 4;                      // vectors whose exponentials are computed side by side

/// x - floor(x); 0 for -inf
LONGHAUL_INLINE Floats above_floor(Floats x) {
#if defined(__AVX512F__)
  return _mm512_maskz_reduce_ps(kAll, x, 0x09);
#elif defined(__AVX2__)
  const Floats bounded = max(broadcast(-126.0f), x);
  return bounded - _mm256_floor_ps(bounded);
#else
  const Floats bounded = max(broadcast(-126.0f), x);
  Ints n = __builtin_convertvector(bounded, Ints);
  n += __builtin_convertvector(n, Floats) > bounded;
  return bounded - __builtin_convertvector(n, Floats);
#endif
}

/// p 2^floor(x), where `above` is above_floor(x); 0 below the smallest normal number
LONGHAUL_INLINE Floats scale_by_floor(Floats p, Floats x, [[maybe_unused]] Floats above) {
#if defined(__AVX512F__)
  return _mm512_maskz_scalef_ps(kAll, p, x);
#else
  const Floats low = broadcast(-126.0f), whole = max(low, x) - above;
#if defined(__AVX2__)
  const Ints n = reinterpret_cast<Ints>(_mm256_cvtps_epi32(whole));
#else
  const Ints n = __builtin_convertvector(whole, Ints);
#endif
  return select(x < low, Floats{}, p * reinterpret_cast<Floats>((n + 127) << 23));
#endif
}

/// x[i] becomes 2^x[i], for x <= 0 or a little above: relative error below 2e-7, 0 for -inf; NaN stays NaN.
/// 2^x = 2^floor(x) p(x - floor(x)), p the polynomial of degree 5 with the least relative error on [0, 1), constant set
/// to 1. The vectors go side by side, because every step of one waits for the step before.
template <int kCount>
LONGHAUL_INLINE void exp2_fast(Floats* x) {
  Floats above[kCount], p[kCount];
#pragma GCC unroll 16
  for (int i = 0; i < kCount; ++i) {
    above[i] = above_floor(x[i]);
    p[i] = broadcast(0.0018775766948238015f);
  }
  constexpr float kRest[] = {0.00898933969438076f, 0.05582631751894951f, 0.24015361070632935f, 0.6931530833244324f, 1};
#pragma GCC unroll 5
  for (int step = 0; step < 5; ++step) {
#pragma GCC unroll 16
    for (int i = 0; i < kCount; ++i) p[i] = fma(p[i], above[i], broadcast(kRest[step]));
  }
#pragma GCC unroll 16
  for (int i = 0; i < kCount; ++i) x[i] = scale_by_floor(p[i], x[i], above[i]);
}

LONGHAUL_INLINE Floats exp2_fast(Floats x) {
  exp2_fast<1>(&x);
  return x;
}
LONGHAUL_INLINE float exp2_one(float x) { return exp2_fast(broadcast(x))[0]; }

/// Lane l of vector v (of a row of a tile) is chosen by bit v kLanes + l.
LONGHAUL_INLINE Floats select_bits(uint64_t bits, int v, Floats yes, Floats no) {
#if defined(__AVX512F__)
  return _mm512_mask_blend_ps(static_cast<__mmask16>(bits >> (v * kLanes)), no, yes);
#else
  const Ints lane_bit = Ints{} + static_cast<int32_t>((bits >> (v * kLanes)) & ((1u << kLanes) - 1u));
  return select((lane_bit & (1 << kLaneIndex)) != 0, yes, no);
#endif
}
LONGHAUL_INLINE Floats keep_bits(uint64_t bits, int v, Floats x) { return select_bits(bits, v, x, Floats{}); }

/// One bit per lane.
LONGHAUL_INLINE uint64_t bits_of(Ints mask) {
#if defined(__AVX512F__)
  return _mm512_movepi32_mask(reinterpret_cast<__m512i>(mask));
#elif defined(__AVX2__)
  return static_cast<uint64_t>(_mm256_movemask_ps(reinterpret_cast<__m256>(mask)));
#else
  uint64_t bits = 0;
  for (int i = 0; i < kLanes; ++i) bits |= static_cast<uint64_t>(mask[i] & 1) << i;
  return bits;
#endif
}

LONGHAUL_INLINE bool any_greater(Floats a, Floats b) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0;
#else
  return bits_of(a > b) != 0;
#endif
}

LONGHAUL_INLINE Ints load_ints(const int32_t* p) {
  Ints v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

LONGHAUL_INLINE Words load_words(const uint32_t* p) {
  Words v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
LONGHAUL_INLINE void store_words(uint32_t* p, Words v) { std::memcpy(p, &v, sizeof v); }

/// Bits of the 64 numbers with lo <= x <= hi.
LONGHAUL_INLINE uint64_t bits_between(const int32_t* x, int32_t lo, int32_t hi) {
  uint64_t bits = 0;
  for (int v = 0; v < kTileVectors; ++v) {
    const Ints at = load_ints(x + v * kLanes);
#if defined(__AVX512F__)
    const __m512i w = reinterpret_cast<__m512i>(at);
    const uint64_t inside = static_cast<uint64_t>(_mm512_cmp_epi32_mask(w, _mm512_set1_epi32(lo), _MM_CMPINT_NLT) &
                                                  _mm512_cmp_epi32_mask(w, _mm512_set1_epi32(hi), _MM_CMPINT_LE));
#else
    const uint64_t inside = bits_of((at >= lo) & (at <= hi));
#endif
    bits |= inside << (v * kLanes);
  }
  return bits;
}

/// Exchanges the off-diagonal halves of all 2 kHalf x 2 kHalf blocks, then the same inside the halves.
template <int kHalf, int... kLane>
LONGHAUL_INLINE void transpose_steps(Words* r, std::integer_sequence<int, kLane...> lanes) {
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) {
    if (i & kHalf) continue;
    const Words a = r[i], b = r[i + kHalf];
    r[i] = __builtin_shufflevector(a, b, ((kLane & kHalf) ? kLanes + kLane - kHalf : kLane)...);
    r[i + kHalf] = __builtin_shufflevector(a, b, ((kLane & kHalf) ? kLanes + kLane : kLane + kHalf)...);
  }
  if constexpr (kHalf > 1) transpose_steps<kHalf / 2>(r, lanes);
}

/// to[c * to_stride + r] = from[r * from_stride + c] for a kLanes x kLanes block of words.
LONGHAUL_INLINE void transpose_block(const uint32_t* from, int64_t from_stride, uint32_t* to, int64_t to_stride) {
  Words r[kLanes];
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) std::memcpy(&r[i], from + i * from_stride, sizeof(Words));
  transpose_steps<kLanes / 2>(r, std::make_integer_sequence<int, kLanes>{});
#pragma GCC unroll 16
  for (int i = 0; i < kLanes; ++i) std::memcpy(to + i * to_stride, &r[i], sizeof(Words));
}

/// Both halves of the 64-bit products of every lane with c.
LONGHAUL_INLINE void multiply_wide(Words a, uint32_t c, Words& high, Words& low) {
#if defined(__AVX512F__)
  const __m512i x = reinterpret_cast<__m512i>(a), k = _mm512_set1_epi64(c);
  const __m512i even = _mm512_maskz_mul_epu32(0xff, x, k),
                odd = _mm512_maskz_mul_epu32(0xff, _mm512_maskz_srli_epi64(0xff, x, 32), k);
  high = reinterpret_cast<Words>(_mm512_mask_blend_epi32(0xaaaa, _mm512_maskz_srli_epi64(0xff, even, 32), odd));
  low = reinterpret_cast<Words>(_mm512_mask_blend_epi32(0xaaaa, even, _mm512_maskz_slli_epi64(0xff, odd, 32)));
#elif defined(__AVX2__)
  const __m256i x = reinterpret_cast<__m256i>(a), k = _mm256_set1_epi64x(c);
  const __m256i even = _mm256_mul_epu32(x, k), odd = _mm256_mul_epu32(_mm256_srli_epi64(x, 32), k);
  high = reinterpret_cast<Words>(_mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa));
  low = reinterpret_cast<Words>(_mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa));
#else
  for (int i = 0; i < kLanes; ++i) {
    const uint64_t product = uint64_t{a[i]} * c;
    high[i] = static_cast<uint32_t>(product >> 32);
    low[i] = static_cast<uint32_t>(product);
  }
#endif
}

/// Philox4x32-10 in every lane; see framework/tensor/random.h.
LONGHAUL_INLINE void philox_rounds(Words& c0, Words& c1, Words& c2, Words& c3, uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    Words high0, low0, high1, low1;
    multiply_wide(c0, 0xD2511F53u, high0, low0);
    multiply_wide(c2, 0xCD9E8D57u, high1, low1);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
}

/// What a dropout word is drawn from.
struct DropoutKey {
  uint32_t layer, purpose, key0, key1, threshold;
};

/// Bit e is set when word e of 64 words is at least the threshold; the words are blocks block .. block + 15 of the
/// stream.
static inline uint64_t dropout_bits_of_blocks(uint64_t block, const DropoutKey& key) {
  uint64_t bits = 0;
  for (int v = 0; v < 16 / kLanes; ++v) {
    const uint64_t base = block + static_cast<uint64_t>(v * kLanes);
    const Words index = reinterpret_cast<Words>(kLaneIndex);
    Words c0 = index + static_cast<uint32_t>(base);
    const Words carry = reinterpret_cast<Words>(c0 < index);  // all ones where the low word wrapped
    Words c1 = broadcast_word(static_cast<uint32_t>(base >> 32)) - carry;
    Words c2 = broadcast_word(key.layer), c3 = broadcast_word(key.purpose);
    philox_rounds(c0, c1, c2, c3, key.key0, key.key1);
    const Words words[4] = {c0, c1, c2, c3};
    uint64_t group = 0;  // bit 4 lane + word
    for (int w = 0; w < 4; ++w) {
      uint64_t x = bits_of(reinterpret_cast<Ints>(words[w] >= key.threshold));
      x = (x | x << 24) & 0x000000ff000000ffu;
      x = (x | x << 12) & 0x000f000f000f000fu;
      x = (x | x << 6) & 0x0303030303030303u;
      x = (x | x << 3) & 0x1111111111111111u;
      group |= x << w;
    }
    bits |= group << (v * kLanes * 4);
  }
  return bits;
}

/// The same for elements base + offset[0 .. 63].
static inline uint64_t dropout_bits_of_elements(uint64_t base, const int32_t* offset, const DropoutKey& key) {
  uint64_t bits = 0;
  for (int v = 0; v < kTileVectors; ++v) {
    Words c0, c1, word;
    for (int l = 0; l < kLanes; ++l) {
      const uint64_t element = base + static_cast<uint64_t>(offset[v * kLanes + l]);
      c0[l] = static_cast<uint32_t>(element / 4);
      c1[l] = static_cast<uint32_t>(element / 4 >> 32);
      word[l] = static_cast<uint32_t>(element % 4);
    }
    Words c2 = broadcast_word(key.layer), c3 = broadcast_word(key.purpose);
    philox_rounds(c0, c1, c2, c3, key.key0, key.key1);
    const Words chosen = word < 2u ? (word == 0u ? c0 : c1) : (word == 2u ? c2 : c3);
    bits |= bits_of(reinterpret_cast<Ints>(chosen >= key.threshold)) << (v * kLanes);
  }
  return bits;
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
