// defines: leaves of softmax and cross-entropy
#pragma once
#include "framework/backends/cpu/simd/functions.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

inline constexpr float kInfinity = __builtin_inff();

/// Largest element. A NaN may be passed over: it reaches the result through the sum of exponentials, and where that is
/// not computed (a row of nothing but -inf) the caller asks for it.
template <typename T>
LONGHAUL_INLINE float peak_of(const T* x, int64_t n) {
  Floats peak = broadcast(-kInfinity);
  runs(n, [&](int64_t i, int64_t m) { peak = max(peak, take(x + i, m, -kInfinity)); });
  return largest(peak);
}
template <typename T>
LONGHAUL_INLINE bool all_minus_infinity(const T* x, int64_t n) {
  Ints other = {};
  runs(n, [&](int64_t i, int64_t m) { other |= ~(take(x + i, m, -kInfinity) == -kInfinity); });
  int32_t any = 0;
  for (int i = 0; i < kLanes; ++i) any |= other[i];
  return any == 0;
}
template <typename T>
LONGHAUL_INLINE float total_of(const T* x, int64_t n, float peak) {
  Floats total = {};
  runs(n, [&](int64_t i, int64_t m) { total += exp(take(x + i, m, -kInfinity) - peak); });
  return sum(total);
}

template <typename T>
LONGHAUL_LEAF void softmax(const void* x_, void* y_, int64_t rows, int64_t n, bool log) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* x = in<T>(x_) + r * n;
    T* y = out<T>(y_) + r * n;
    const float peak = peak_of(x, n);
    if (peak == -kInfinity && all_minus_infinity(x, n)) {  // nothing is visible
      runs(n, [&](int64_t i, int64_t m) { put(y + i, broadcast(log ? -kInfinity : 0.0f), m); });
      continue;
    }
    const float total = total_of(x, n, peak);
    if (log) {
      const float normaliser = peak + __builtin_logf(total);
      map(x, y, n, [=](Floats v) { return v - normaliser; });
    } else {
      const float scale = 1.0f / total;
      map(x, y, n, [=](Floats v) { return exp(v - peak) * scale; });
    }
  }
}

template <typename T>
LONGHAUL_LEAF void softmax_backward(const void* y_, const void* dy_, void* dx_, int64_t rows, int64_t n, bool log) {
  for (int64_t r = 0; r < rows; ++r) {
    const T *y = in<T>(y_) + r * n, *dy = in<T>(dy_) + r * n;
    T* dx = out<T>(dx_) + r * n;
    Floats dot = {};
    runs(n, [&](int64_t i, int64_t m) {
      const Floats g = take(dy + i, m);
      dot = log ? dot + g : fma(g, take(y + i, m), dot);
    });
    const float total = sum(dot);
    if (log)
      map(y, dy, dx, n, [=](Floats v, Floats g) { return g - exp(v) * total; });
    else
      map(y, dy, dx, n, [=](Floats v, Floats g) { return v * (g - total); });
  }
}

template <typename T, typename D>
LONGHAUL_LEAF void cross_entropy(const void* x_, void* dx_, int64_t n, int64_t target, float epsilon, float scale,
                                 float* lse_out, float* mean) {
  const T* x = in<T>(x_);
  const float peak = peak_of(x, n);
  const float lse = peak + __builtin_logf(total_of(x, n, peak));
  if (epsilon != 0) {
    Floats total = {};
    const float per = 1.0f / static_cast<float>(n);
    runs(n, [&](int64_t i, int64_t m) { total = fma(take(x + i, m), broadcast(per), total); });
    *mean = sum(total);
  }
  *lse_out = lse;
  if (!dx_) return;
  D* dx = out<D>(dx_);
  const float share = epsilon / static_cast<float>(n);
  const float at_target = static_cast<float>(x[target]);  // dx may be x
  map(x, dx, n, [=](Floats v) { return scale * (exp(v - lse) - share); });
  const float p = exp(broadcast(at_target - lse))[0];
  const float gradient[kLanes] = {scale * (p - share - (1.0f - epsilon))};
  store_first(dx + target, load(gradient), 1);
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
