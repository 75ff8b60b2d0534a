// defines: rotary
#pragma once
#include "framework/autograd/variable.h"

namespace longhaul::ops {

/// Rotary position embedding (Su et al. 2021, equation 34) of the heads [first, first + count) of a fused projection.
///
/// x [B, N, heads, d], d even; position [B, N] or [N] i32 -> [B, N, heads, d]; other heads pass unchanged.
/// The gradient is the rotation back; nothing but the positions is saved.
Variable rotary(const Variable& x, const Tensor& position, int64_t first, int64_t count, double base);

}  // namespace longhaul::ops
