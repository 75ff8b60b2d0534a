// defines: normalize, residual_normalize, NormOptions
#pragma once
#include "framework/autograd/variable.h"
#include "framework/kernels/norm.h"

namespace longhaul::ops {

using kernels::NormOptions;

/// y = (x - mean) / sqrt(var + eps) * gamma + beta over the last axis (Ba et al. 2016), or the root-mean-square form without
/// mean and beta (Zhang & Sennrich 2019).
///
/// x [.., D]; gamma [D]; beta [D] or undefined; result [.., D] in dtype `out`. Statistics in f32. Saves x, mean, rstd.
Variable normalize(const Variable& x, const Variable& gamma, const Variable& beta, const NormOptions& options, DType out);

struct ResidualNormal {
  Variable sum;     // x + delta, in x's dtype
  Variable normal;  // normalize(sum), in dtype `out`
};

/// The residual addition and the norm behind it in one pass over memory. delta [.., D] may have a lower precision than x.
ResidualNormal residual_normalize(const Variable& x, const Variable& delta, const Variable& gamma, const Variable& beta, const NormOptions& options, DType out);

}  // namespace longhaul::ops
