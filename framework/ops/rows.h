// defines: embedding, gather_rows, replace_rows, overwrite_rows
#pragma once
#include "framework/autograd/variable.h"

namespace longhaul::ops {

/// Rows of a table: result[.., :] = table[index[..], :]. Also the gather of sequence rows.
///
/// table [V, D], index [..] i32 (-1 gives a row of zeros without gradient) -> [.., D] in dtype `out`. Row `frozen` of the table
/// gets no gradient from here (-1: all do).
/// The gradient is summed per row of the table in the order of the index, at least in f32: no atomics.
/// Throws ShapeError for an index outside -1..V-1 on host devices.
Variable embedding(const Variable& table, const Tensor& index, DType out, int32_t frozen = -1);

/// Rows of an activation: result[m, :] = x[index[m], :], a row of zeros where index[m] is -1.
///
/// x [R, D], index [M] i32 with distinct entries (-1 aside) -> [M, D] in x's dtype. The gradient is added row by row, in any dtype.
Variable gather_rows(const Variable& x, const Tensor& index);

/// x [V, D] with rows index[m] replaced by rows[m] (index [M] i32, distinct; -1 replaces nothing). The gradient reaches both.
Variable replace_rows(const Variable& x, const Tensor& index, const Variable& rows);

/// The same in the memory of x, for an op before it whose backward looks at neither these rows of its result nor at their
/// gradient: attention whose query rows are not valid. No copy is made; the gradient of x keeps those rows as they are.
Variable overwrite_rows(const Variable& x, const Tensor& index, const Variable& rows);

}  // namespace longhaul::ops
