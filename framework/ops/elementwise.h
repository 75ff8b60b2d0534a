// defines: add, subtract, multiply, divide, scale, unary, dropout, dropout_rows, cast, swiglu
#pragma once
#include "framework/autograd/variable.h"
#include "framework/kernels/elementwise.h"

namespace longhaul::ops {

using kernels::DropoutOptions;
using kernels::UnaryOp;

/// Element by element; b has a's shape or is repeated along a's leading axes (b's shape is a suffix of a's).
/// The result has a's shape and dtype; gradients reach both. Throws ShapeError when the shapes do not fit.
Variable add(const Variable& a, const Variable& b);
Variable subtract(const Variable& a, const Variable& b);
Variable multiply(const Variable& a, const Variable& b);
Variable divide(const Variable& a, const Variable& b);

/// factor * x
Variable scale(const Variable& x, double factor);

/// op(x); see UnaryOp for formulas. Saves x.
Variable unary(const Variable& x, UnaryOp op);

/// Inverted dropout by counter: an element is kept, and divided by 1 - probability, when its random word says so. Nothing is
/// saved; the same numbers are drawn again in the backward. Probability 0 returns x.
Variable dropout(const Variable& x, const DropoutOptions& options);

/// The same for x [M, D] whose rows are rows index[m] (i32, 0 or more) of a larger tensor: they are dropped as in that tensor,
/// whose element 0 is options.first_element.
Variable dropout_rows(const Variable& x, const Tensor& index, const DropoutOptions& options);

/// The same values in another floating dtype; the gradient comes back in x's.
Variable cast(const Variable& x, DType dtype);

/// silu(x[.., :F]) * x[.., F:], x [.., 2F] -> [.., F] (Shazeer 2020). Saves x.
Variable swiglu(const Variable& x);

}  // namespace longhaul::ops
