// defines: Operands, check_operands, forward, backward
#pragma once
#include "framework/attention/block_attention.h"

namespace longhaul::attention {

/// The operands of one call; views into whatever the caller holds.
struct Operands {
  Tensor query, key, value;  // [B, H, Nq, d], [B, Hk, Nk, d], [B, Hk, Nk, d_v]
};

/// throws ShapeError when shapes or dtypes do not fit each other or the pattern
void check_operands(const Operands& operands, const AttentionSpec& spec);

/// Fills out and lse.
void forward(const Operands& operands, const Tensor& out, const Tensor& lse, const AttentionSpec& spec);

/// Fills whichever tensors of `gradients` and views of `extra` there are; dout and dlse may be undefined.
void backward(const Operands& operands, const Tensor& out, const Tensor& lse, const Tensor& dout, const Tensor& dlse, const Operands& gradients,
              const kernels::AttentionGradients& extra, const AttentionSpec& spec);

}  // namespace longhaul::attention
