// defines: map loops, erf, tanh, sigmoid on vectors
#pragma once
#include "framework/backends/cpu/simd.h"

/// Bodies of the leaves. Included by leaves_<instruction set>.cpp only.
namespace longhaul::cpu::LONGHAUL_SIMD {

template <typename T>
LONGHAUL_INLINE const T* in(const void* p) {
  return static_cast<const T*>(p);
}
template <typename T>
LONGHAUL_INLINE T* out(void* p) {
  return static_cast<T*>(p);
}

/// f(i, m) for every run of kLanes elements, m = kLanes, and once for the m < kLanes that are left.
template <typename F>
LONGHAUL_INLINE void runs(int64_t n, F f) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) f(i, int64_t{kLanes});
  if (i < n) f(i, n - i);
}
template <typename T>
LONGHAUL_INLINE Floats take(const T* p, int64_t m, float rest = 0) {
  return m == kLanes ? load(p) : load_first(p, m, rest);
}
template <typename T>
LONGHAUL_INLINE void put(T* p, Floats v, int64_t m) {
  if (m == kLanes)
    store(p, v);
  else
    store_first(p, v, m);
}

template <typename X, typename Y, typename F>
LONGHAUL_INLINE void map(const X* x, Y* y, int64_t n, F f) {
  runs(n, [&](int64_t i, int64_t m) { put(y + i, f(take(x + i, m)), m); });
}
template <typename A, typename B, typename Y, typename F>
LONGHAUL_INLINE void map(const A* a, const B* b, Y* y, int64_t n, F f) {
  runs(n, [&](int64_t i, int64_t m) { put(y + i, f(take(a + i, m), take(b + i, m)), m); });
}

/// The standard normal distribution Phi and its density times sqrt(2 pi), e^(-x^2/2).
struct Normal {
  Floats distribution, bell;
};
/// Phi(-|x|) = erfc(z) / 2 with z = |x| / sqrt 2, and erfc(z) = e^(-z^2) t Q(t), t = 1 / (1 + 0.35 z): a least-squares
/// fit of degree 9 on z in [0, 13.5], relative error 1e-8 before rounding. The other side is 1 - Phi(-|x|).
LONGHAUL_INLINE Normal normal(Floats x) {
  const Floats t = 1.0f / fma(abs(x), broadcast(0.35f * 0.70710678f), broadcast(1.0f));
  const Floats bell = exp(x * x * -0.5f);
  Floats q = broadcast(0.04159979522228241f);
  q = fma(q, t, broadcast(-0.17657634615898132f));
  q = fma(q, t, broadcast(0.22367066144943237f));
  q = fma(q, t, broadcast(-0.08503181487321854f));
  q = fma(q, t, broadcast(0.13563944399356842f));
  q = fma(q, t, broadcast(0.11939287930727005f));
  q = fma(q, t, broadcast(0.16060595214366913f));
  q = fma(q, t, broadcast(0.1858358383178711f));
  q = fma(q, t, broadcast(0.1973932683467865f));
  q = fma(q, t, broadcast(0.19747032225131989f));
  const Floats tail = bell * t * q * 0.5f;
  return {select(x > 0.0f, 1.0f - tail, tail), bell};
}

/// Cephes tanhf (Moshier 1989): a polynomial near 0, 1 - 2 / (e^2|x| + 1) elsewhere.
LONGHAUL_INLINE Floats tanh(Floats x) {
  const Floats magnitude = abs(x);
  const Floats square = x * x;
  Floats p = broadcast(-5.70498872745e-3f);
  p = fma(p, square, broadcast(2.06390887954e-2f));
  p = fma(p, square, broadcast(-5.37397155531e-2f));
  p = fma(p, square, broadcast(1.33314422036e-1f));
  p = fma(p, square, broadcast(-3.33332819422e-1f));
  const Floats near = fma(p * square, x, x);
  const Floats far = 1.0f - 2.0f / (exp(magnitude + magnitude) + 1.0f);
  return select(magnitude < 0.625f, near, copy_sign(far, x));
}

LONGHAUL_INLINE Floats sigmoid(Floats x) { return 1.0f / (1.0f + exp(-x)); }

}  // namespace longhaul::cpu::LONGHAUL_SIMD
