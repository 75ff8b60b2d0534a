// defines: linear, matmul
#pragma once
#include "framework/autograd/variable.h"

namespace longhaul::ops {

/// y = x weight^T + bias.
///
/// x [.., K], weight [N, K], bias [N] or undefined -> [.., N] in x's dtype. Weights are f32 parameters; with bf16 activations the
/// product uses their bf16 copy and f32 sums, and their gradients are summed in f32.
/// saves x. dx = dy weight, dweight = dy^T x, dbias = column sums of dy.
Variable linear(const Variable& x, const Variable& weight, const Variable& bias);

/// op(a) op(b) for rank 2, or rank 3 with equal leading sizes; same dtype. Saves both.
Variable matmul(const Variable& a, const Variable& b, bool transpose_a = false, bool transpose_b = false);

}  // namespace longhaul::ops
