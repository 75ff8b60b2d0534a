// defines: leaves of rotary embedding
#pragma once
#include "framework/backends/cpu/simd/functions.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

/// The angle is reduced in f64 to r in [-pi/4, pi/4] and a quarter turn; sine and cosine of r by the polynomials of
/// Cephes sinf.
LONGHAUL_LEAF void angles(int32_t position, const double* frequency, int64_t half, float* cosine, float* sine) {
  for (int64_t i = 0; i < half; ++i) {
    const double angle = position * frequency[i];
    const double shifted = angle * 0.63661977236758134308 + 6755399441055744.0;  // 1.5 2^52 rounds to a whole number
    const double quarters = shifted - 6755399441055744.0;
    const float r =
        static_cast<float>(angle - quarters * 1.57079632679489655800 - quarters * 6.12323399573676603587e-17);
    const uint32_t turn = static_cast<uint32_t>(__builtin_bit_cast(uint64_t, shifted)) & 3u;
    const float z = r * r;
    const float s = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
    const float c =
        ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1.0f;
    const float a = turn & 1u ? s : c, b = turn & 1u ? c : s;
    cosine[i] = (turn + 1u) & 2u ? -a : a;
    sine[i] = turn & 2u ? -b : b;
  }
}

/// x and y may be the same row.
template <typename T>
LONGHAUL_LEAF void rotate(const void* x_, void* y_, const float* cosine, const float* sine, int64_t half) {
  const T* x = in<T>(x_);
  T* y = out<T>(y_);
  runs(half, [&](int64_t i, int64_t m) {
    const Floats c = take(cosine + i, m), s = take(sine + i, m);
    const Floats first = take(x + i, m), second = take(x + half + i, m);
    put(y + i, first * c - second * s, m);
    put(y + half + i, second * c + first * s, m);
  });
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
