// defines: reshape, permute, slice, concat
#pragma once
#include <initializer_list>
#include <span>

#include "framework/autograd/variable.h"

namespace longhaul::ops {

/// The same elements in another shape; one size may be -1. No copy.
Variable reshape(const Variable& x, std::initializer_list<int64_t> sizes);
/// Axis i of the result is axis order[i] of x; a dense copy.
Variable permute(const Variable& x, std::initializer_list<int> order);
/// Rows [begin, end) along an axis; a dense copy.
Variable slice(const Variable& x, int axis, int64_t begin, int64_t end);
/// The parts one behind the other along an axis; all other sizes and the dtype must agree.
Variable concat(std::span<const Variable> parts, int axis);

}  // namespace longhaul::ops
