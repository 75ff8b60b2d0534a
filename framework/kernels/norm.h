// defines: NormOptions, NormKernels
#pragma once
#include "framework/kernels/kernel.h"

namespace longhaul::kernels {

struct NormOptions {
  float eps = 1e-5f;
  bool rms = false;  // root mean square (Zhang & Sennrich 2019): no mean is subtracted, beta is absent
};

/// Layer normalisation (Ba et al. 2016) over the last axis, with the residual addition in front of it fused in.
/// Statistics, gamma and beta in f32 (f64 for f64); biased variance. Everything is contiguous.
struct NormKernels {
  /// sum = x + delta; y = (sum - mean) rstd gamma + beta.
  /// x, delta, sum, y [R, D]; gamma, beta [D]; mean, rstd [R]. Without delta: sum is absent and x is normalised. With rms: mean may be absent.
  /// x and sum share a dtype (the residual stream, f32 in mixed precision); delta and y share another, which may be bf16. sum may be x.
  Kernel<const View& /*x*/, const View& /*delta*/, const View& /*gamma*/, const View& /*beta*/, const View& /*sum*/, const View& /*y*/,
         const View& /*mean*/, const View& /*rstd*/, const NormOptions&> forward{"norm.forward"};
  /// dx = gradient through the norm + dsum; ddelta = dx in dy's dtype. dgamma, dbeta [D] f32 (f64) are added to, by fixed blocks of rows.
  /// dsum, ddelta, dgamma, dbeta may be absent; dx may be dsum. x is the tensor that was normalised (sum, or x without delta).
  Kernel<const View& /*dy*/, const View& /*dsum*/, const View& /*x*/, const View& /*gamma*/, const View& /*mean*/, const View& /*rstd*/,
         const View& /*dx*/, const View& /*ddelta*/, const View& /*dgamma*/, const View& /*dbeta*/, const NormOptions&> backward{"norm.backward"};

  template <typename F>
  void each(F f) { f(forward), f(backward); }
};

}  // namespace longhaul::kernels
