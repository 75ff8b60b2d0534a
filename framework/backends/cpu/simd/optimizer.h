// defines: leaves of optimizers
#pragma once
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/simd/functions.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

LONGHAUL_LEAF void adam(float* w, const float* g, float* m, float* v, int64_t n, const kernels::AdamOptions& o) {
  const Floats beta1 = broadcast(o.beta1), beta2 = broadcast(o.beta2), rest1 = broadcast(1 - o.beta1),
               rest2 = broadcast(1 - o.beta2);
  const float inverse1 = 1 / o.correction1, inverse2 = 1 / o.correction2;
  const float coupled = o.decoupled ? 0 : o.weight_decay, decoupled = o.decoupled ? o.weight_decay : 0;
  runs(n, [&](int64_t i, int64_t count) {
    const Floats weight = take(w + i, count);
    const Floats gradient = fma(broadcast(coupled), weight, take(g + i, count) * o.gradient_scale);
    const Floats first = fma(beta1, take(m + i, count), rest1 * gradient);
    const Floats second = fma(beta2, take(v + i, count), rest2 * (gradient * gradient));
    const Floats step = (first * inverse1) / (sqrt(second * inverse2) + o.eps);
    put(m + i, first, count);
    put(v + i, second, count);
    put(w + i, fma(broadcast(-o.learning_rate), fma(broadcast(decoupled), weight, step), weight), count);
  });
}

LONGHAUL_LEAF void sgd(float* w, const float* g, float* velocity, int64_t n, const kernels::SgdOptions& o) {
  runs(n, [&](int64_t i, int64_t count) {
    const Floats weight = take(w + i, count);
    Floats step = fma(broadcast(o.weight_decay), weight, take(g + i, count) * o.gradient_scale);
    if (velocity) {
      const Floats speed = fma(broadcast(o.momentum), take(velocity + i, count), step);
      put(velocity + i, speed, count);
      step = o.nesterov ? fma(broadcast(o.momentum), speed, step) : speed;
    }
    put(w + i, fma(broadcast(-o.learning_rate), step, weight), count);
  });
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
