// defines: leaves of layer normalisation
#pragma once
#include "framework/backends/cpu/simd/functions.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

template <typename X, typename D, typename Y>
LONGHAUL_LEAF void norm(const void* x_, const void* delta_, const float* gamma, const float* beta, void* sum_, void* y_,
                        float* mean, float* rstd, int64_t rows, int64_t width, float eps, bool rms) {
  const float per = 1.0f / static_cast<float>(width);
  for (int64_t r = 0; r < rows; ++r) {
    const X* x = in<X>(x_) + r * width;
    Y* y = out<Y>(y_) + r * width;
    Floats total = {};
    if (delta_) {
      const D* delta = in<D>(delta_) + r * width;
      X* sum = out<X>(sum_) + r * width;
      runs(width, [&](int64_t i, int64_t m) { put(sum + i, take(x + i, m) + take(delta + i, m), m); });
      x = sum;  // what later layers see, rounding included
    }
    if (!rms) runs(width, [&](int64_t i, int64_t m) { total += take(x + i, m); });
    const float center = rms ? 0.0f : LONGHAUL_SIMD::sum(total) * per;
    Floats squares = {};
    runs(width, [&](int64_t i, int64_t m) {
      const Floats away = take(x + i, m, center) - center;
      squares = fma(away, away, squares);
    });
    const float scale = 1.0f / __builtin_sqrtf(LONGHAUL_SIMD::sum(squares) * per + eps);
    runs(width, [&](int64_t i, int64_t m) {
      const Floats normal = (take(x + i, m) - center) * scale;
      const Floats shift = beta ? take(beta + i, m) : Floats{};
      put(y + i, fma(normal, take(gamma + i, m), shift), m);
    });
    if (mean) mean[r] = center;
    rstd[r] = scale;
  }
}

template <typename X, typename DY, typename D>
LONGHAUL_LEAF void norm_backward(const void* dy_, const void* dsum_, const void* x_, const float* gamma,
                                 const float* mean, const float* rstd, void* dx_, void* ddelta_, float* dgamma,
                                 float* dbeta, int64_t rows, int64_t width, bool rms) {
  const float per = 1.0f / static_cast<float>(width);
  for (int64_t r = 0; r < rows; ++r) {
    const DY* dy = in<DY>(dy_) + r * width;
    const X* x = in<X>(x_) + r * width;
    const X* dsum = dsum_ ? in<X>(dsum_) + r * width : nullptr;
    X* dx = out<X>(dx_) + r * width;
    D* ddelta = ddelta_ ? out<D>(ddelta_) + r * width : nullptr;
    const float center = rms ? 0.0f : mean[r], scale = rstd[r];
    Floats total_g = {}, total_gn = {};
    runs(width, [&](int64_t i, int64_t m) {
      const Floats g = take(dy + i, m) * take(gamma + i, m);
      const Floats n = (take(x + i, m, center) - center) * scale;
      total_g += g;
      total_gn = fma(g, n, total_gn);
    });
    const float mean_g = rms ? 0.0f : sum(total_g) * per, mean_gn = sum(total_gn) * per;
    runs(width, [&](int64_t i, int64_t m) {
      const Floats up = take(dy + i, m);
      const Floats n = (take(x + i, m, center) - center) * scale;
      Floats result = scale * (up * take(gamma + i, m) - mean_g - n * mean_gn);
      if (dsum) result += take(dsum + i, m);
      if (dgamma) put(dgamma + i, fma(up, n, take(dgamma + i, m)), m);
      if (dbeta) put(dbeta + i, take(dbeta + i, m) + up, m);
      put(dx + i, result, m);
      if (ddelta) put(ddelta + i, result, m);
    });
  }
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
