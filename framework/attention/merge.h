// defines: merge
#pragma once
#include <span>

#include "framework/attention/block_attention.h"

namespace longhaul::attention {

/// The softmax over the union of the parts' keys, each key counted as often as parts list it:
///
///   lse = ln sum_p exp lse_p,   out = sum_p exp(lse_p - lse) out_p
///
/// parts with equal shapes -> {out [B, H, N, d_v] in the parts' dtype, lse [B, H, N]}. Gradients reach out and lse of
/// every part, from both results. saves the parts and the results. throws ShapeError when parts differ or there are
/// none.
AttentionResult merge(std::span<const AttentionResult> parts);

}  // namespace longhaul::attention
