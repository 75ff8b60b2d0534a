// defines: Floats, Ints, Words, kLanes and the operations of kernels on them
#pragma once
#include <bit>
#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "framework/tensor/dtype.h"

/// Vectors of f32 as wide as the instruction set the file is compiled for: 16, 8 or 4 lanes. The operators + - * / < ==
/// & | ^ << >> are the compiler's own (GCC vector extensions); a comparison gives Ints of 0 or -1. Everything lives in
/// a namespace named after the instruction set, so that no two object files share a function compiled with different
/// instructions.
#if defined(__AVX512BF16__)
#define LONGHAUL_SIMD avx512_bf16
#elif defined(__AVX512F__)
#define LONGHAUL_SIMD avx512
#elif defined(__AVX2__)
#define LONGHAUL_SIMD avx2
#else
#define LONGHAUL_SIMD portable
#endif
#define LONGHAUL_INLINE static inline __attribute__((always_inline))
#define LONGHAUL_LEAF __attribute__((flatten))  // everything a leaf calls is inlined into it

namespace longhaul::cpu::LONGHAUL_SIMD {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
inline constexpr __mmask16 kAll =
    0xffff;  // the zero-masked forms are used because GCC 12 warns of its own unmasked ones
#elif defined(__AVX2__)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

typedef float Floats __attribute__((vector_size(4 * kLanes)));
typedef int32_t Ints __attribute__((vector_size(4 * kLanes)));
typedef uint32_t Words __attribute__((vector_size(4 * kLanes)));
typedef uint16_t Halves __attribute__((vector_size(2 * kLanes)));

#if defined(__AVX512F__)
inline constexpr Ints kLaneIndex = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif defined(__AVX2__)
inline constexpr Ints kLaneIndex = {0, 1, 2, 3, 4, 5, 6, 7};
#else
inline constexpr Ints kLaneIndex = {0, 1, 2, 3};
#endif

LONGHAUL_INLINE Floats broadcast(float x) { return x - Floats{}; }  // x + 0 would cost an addition: -0 + 0 is not -0
LONGHAUL_INLINE Words broadcast_word(uint32_t x) { return Words{} + x; }

LONGHAUL_INLINE Floats load(const float* p) {
  Floats v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
LONGHAUL_INLINE void store(float* p, Floats v) { std::memcpy(p, &v, sizeof v); }

LONGHAUL_INLINE Floats load(const bfloat16* p) {
  Halves h;
  std::memcpy(&h, p, sizeof h);
#if defined(__AVX512F__)
  const Words w = reinterpret_cast<Words>(_mm512_maskz_cvtepu16_epi32(kAll, reinterpret_cast<__m256i>(h)));
#elif defined(__AVX2__)
  const Words w = reinterpret_cast<Words>(_mm256_cvtepu16_epi32(reinterpret_cast<__m128i>(h)));
#else
  const Words w = __builtin_convertvector(h, Words);
#endif
  return reinterpret_cast<Floats>(w << 16);
}

LONGHAUL_INLINE Floats select(Ints mask, Floats yes, Floats no) { return mask ? yes : no; }

/// Rounds to nearest, ties to even, like bfloat16(float); NaN stays NaN.
LONGHAUL_INLINE void store(bfloat16* p, Floats v) {
  const Words u = reinterpret_cast<Words>(v);
  const Words rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
  const Words nan = (u >> 16) | 0x40u;
  const Words bits = reinterpret_cast<Words>(v == v) ? rounded : nan;
#if defined(__AVX512F__)
  const __m256i h = _mm512_maskz_cvtepi32_epi16(kAll, reinterpret_cast<__m512i>(bits));
#else
  const Halves h = __builtin_convertvector(bits, Halves);
#endif
  std::memcpy(static_cast<void*>(p), &h, sizeof h);
}

/// The first n lanes, 0 <= n < kLanes; the others are `rest`.
template <typename T>
LONGHAUL_INLINE Floats load_first(const T* p, int64_t n, float rest = 0) {
  alignas(64) unsigned char lanes[kLanes * sizeof(T)] = {};
  std::memcpy(lanes, p, static_cast<size_t>(n) * sizeof(T));
  return select(kLaneIndex < static_cast<int32_t>(n), load(reinterpret_cast<const T*>(lanes)), broadcast(rest));
}
template <typename T>
LONGHAUL_INLINE void store_first(T* p, Floats v, int64_t n) {
  alignas(64) unsigned char lanes[kLanes * sizeof(T)];
  store(reinterpret_cast<T*>(lanes), v);
  std::memcpy(static_cast<void*>(p), lanes, static_cast<size_t>(n) * sizeof(T));
}

/// a b + c, rounded once where the machine has the instruction.
LONGHAUL_INLINE Floats fma(Floats a, Floats b, Floats c) {
#if defined(__AVX512F__)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(__AVX2__)
  return _mm256_fmadd_ps(a, b, c);
#else
  return a * b + c;
#endif
}

/// A NaN in b is taken; a NaN in a is lost unless b is NaN too.
LONGHAUL_INLINE Floats max(Floats a, Floats b) {
#if defined(__AVX512F__)
  return _mm512_maskz_max_ps(kAll, a, b);
#elif defined(__AVX2__)
  return _mm256_max_ps(a, b);
#else
  return select(a > b, a, b);
#endif
}
LONGHAUL_INLINE Floats min(Floats a, Floats b) {
#if defined(__AVX512F__)
  return _mm512_maskz_min_ps(kAll, a, b);
#elif defined(__AVX2__)
  return _mm256_min_ps(a, b);
#else
  return select(a < b, a, b);
#endif
}

LONGHAUL_INLINE Floats abs(Floats x) { return reinterpret_cast<Floats>(reinterpret_cast<Words>(x) & 0x7fffffffu); }
LONGHAUL_INLINE Floats copy_sign(Floats x, Floats sign) {
  return reinterpret_cast<Floats>((reinterpret_cast<Words>(x) & 0x7fffffffu) |
                                  (reinterpret_cast<Words>(sign) & 0x80000000u));
}
LONGHAUL_INLINE Floats sqrt(Floats x) {
#if defined(__AVX512F__)
  return _mm512_maskz_sqrt_ps(kAll, x);
#elif defined(__AVX2__)
  return _mm256_sqrt_ps(x);
#else
  Floats y;
  for (int i = 0; i < kLanes; ++i) y[i] = __builtin_sqrtf(x[i]);
  return y;
#endif
}

/// The lanes folded by halving, a fixed tree: f joins the upper half to the lower one.
template <typename F4>
LONGHAUL_INLINE float fold(Floats v, F4 f) {
  typedef float Four __attribute__((vector_size(16)));
  Four four[kLanes / 4];
  std::memcpy(four, &v, sizeof v);
  for (int half = kLanes / 8; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) four[i] = f(four[i], four[i + half]);
  }
  const Four two = f(four[0], __builtin_shufflevector(four[0], four[0], 2, 3, 2, 3));
  return f(two, __builtin_shufflevector(two, two, 1, 1, 1, 1))[0];
}
LONGHAUL_INLINE float sum(Floats v) {
  return fold(v, [](auto a, auto b) { return a + b; });
}
/// No promise about NaN.
LONGHAUL_INLINE float largest(Floats v) {
  return fold(v, [](auto a, auto b) { return a > b ? a : b; });
}

/// e^x within 1.5 ulp; results below the smallest normal number are 0; NaN stays NaN.
/// Cody & Waite reduction to |r| <= ln 2 / 2, then the polynomial of Cephes expf (Moshier 1989).
LONGHAUL_INLINE Floats exp(Floats x) {
  const Floats clamped = min(max(x, broadcast(-87.33654f)), broadcast(88.72283f));
  const Floats magic = broadcast(12582912.0f);  // 1.5 2^23: adding it rounds to a whole number in the low bits
  const Floats shifted = fma(clamped, broadcast(1.44269504f), magic);
  const Floats n = shifted - magic;
  Floats r = fma(n, broadcast(-0.693359375f), clamped);
  r = fma(n, broadcast(2.12194440e-4f), r);
  Floats p = broadcast(1.9875691500e-4f);
  p = fma(p, r, broadcast(1.3981999507e-3f));
  p = fma(p, r, broadcast(8.3334519073e-3f));
  p = fma(p, r, broadcast(4.1665795894e-2f));
  p = fma(p, r, broadcast(1.6666665459e-1f));
  p = fma(p, r, broadcast(5.0000001201e-1f));
  p = fma(p, r * r, r) + 1.0f;
  // 2^n in two factors: n = 128 has no exponent of its own.
  const Ints whole = reinterpret_cast<Ints>(shifted) - 0x4B400000;
  const Ints half = whole >> 1;
  const Floats scale_a = reinterpret_cast<Floats>((half + 127) << 23);
  const Floats scale_b = reinterpret_cast<Floats>((whole - half + 127) << 23);
  Floats y = p * scale_a * scale_b;
  y = select(x < -87.33654f, Floats{}, y);
  y = select(x > 88.72283f, broadcast(__builtin_inff()), y);
  return select(x == x, y, x);
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
