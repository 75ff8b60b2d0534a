// defines: embedding, replace_rows
#pragma once
#include "framework/autograd/variable.h"

namespace longhaul::ops {

/// Rows of a table: result[.., :] = table[index[..], :]. Also the gather of sequence rows.
///
/// table [V, D], index [..] i32 (-1 gives a row of zeros without gradient) -> [.., D] in dtype `out`.
/// The gradient is summed per row of the table in the order of the index: no atomics.
/// Throws ShapeError for an index outside -1..V-1 on host devices.
Variable embedding(const Variable& table, const Tensor& index, DType out);

/// x [V, D] with rows index[m] replaced by rows[m] (index [M] i32, distinct; -1 replaces nothing). The gradient reaches both.
Variable replace_rows(const Variable& x, const Tensor& index, const Variable& rows);

}  // namespace longhaul::ops
