#include "framework/ops/rows.h"

#include <algorithm>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/support.h"
#include "framework/tensor/memory.h"

namespace longhaul::ops {
namespace {

void check_index(const char* name, const Tensor& index, int64_t rows) {
  check<ShapeError>(index.dtype() == DType::kI32 && index.contiguous(), "[{}] the index must be contiguous i32, received {}", name, index.dtype());
  if (!index.device().is_host()) return;
  const int32_t* ids = index.data<int32_t>();
  for (int64_t i = 0; i < index.elements(); ++i) {
    check<ShapeError>(ids[i] >= -1 && ids[i] < rows, "[{}] index {} at element {} is out of range for a table of {} rows", name, ids[i], i, rows);
  }
}

/// dtable += rows of dy chosen by index.
void scatter(const Tensor& dy, const Tensor& index, const Tensor& dtable) {
  const MemoryScope scope(MemoryFamily::kWorkspace);
  const Tensor order = Tensor::empty({index.elements()}, DType::kI32, dy.device());
  const Tensor starts = Tensor::empty({dtable.size(0) + 1}, DType::kI32, dy.device());
  table(dy).rows.scatter_add(as_rows(dy), index.reshape({-1}), dtable, order, starts);
}

/// The index with -1 for one row.
Tensor without(const Tensor& index, int32_t row) {
  if (row < 0 || !index.device().is_host()) return index;
  const int32_t* ids = index.data<int32_t>();
  if (std::find(ids, ids + index.elements(), row) == ids + index.elements()) return index;
  const Tensor out = Tensor::empty(index.shape(), DType::kI32, index.device());
  std::replace_copy(ids, ids + index.elements(), out.data<int32_t>(), row, -1);
  return out;
}

Tensor gathered(const Tensor& from, const Tensor& index, const Shape& shape, DType dtype) {
  const Tensor y = Tensor::empty(shape, dtype, from.device());
  table(from).rows.gather(from, index.reshape({-1}), as_rows(y));
  return y;
}

void check_replacement(const char* name, const Variable& x, const Tensor& index, const Variable& rows) {
  check<ShapeError>(x.value().rank() == 2 && rows.value().rank() == 2 && x.size(1) == rows.size(1) && index.elements() == rows.size(0) && x.dtype() == rows.dtype(),
                    "[{}] {} rows {} do not fit x {} with {} indices", name, rows.dtype(), rows.shape(), x.shape(), index.elements());
  check_index(name, index, x.size(0));
}

}  // namespace

Variable embedding(const Variable& weights, const Tensor& index, DType out, int32_t frozen) {
  check<ShapeError>(weights.value().rank() == 2, "[embedding] a table has two axes, received {}", weights.shape());
  check_index("embedding", index, weights.size(0));
  check<ShapeError>(index.rank() < kMaxRank, "[embedding] index {} has too many axes", index.shape());
  std::array<int64_t, kMaxRank> sizes{};
  for (int axis = 0; axis < index.rank(); ++axis) sizes[axis] = index.size(axis);
  sizes[index.rank()] = weights.size(1);
  const Shape shape{std::span<const int64_t>(sizes.data(), static_cast<size_t>(index.rank() + 1))};
  return record("embedding", gathered(weights.value(), index, shape, out), {weights}, [index, frozen](const BackwardContext& context) {
    const auto [dtable, accumulate] = context.buffer(0);
    if (dtable.dtype() != DType::kF32 && dtable.dtype() != DType::kF64) {  // an activation: sums are made in f32
      const MemoryScope scope(MemoryFamily::kWorkspace);
      const Tensor sum = Tensor::zeros(dtable.shape(), DType::kF32, dtable.device());
      scatter(context.gradient(), without(index, frozen), sum);
      table(dtable).elementwise.axpby(sum, dtable, 1.0f, accumulate ? 1.0f : 0.0f);
      return;
    }
    if (!accumulate) dtable.zero();
    scatter(context.gradient(), without(index, frozen), dtable);
  });
}

Variable gather_rows(const Variable& x, const Tensor& index) {
  check<ShapeError>(x.value().rank() == 2 && index.rank() == 1, "[gather_rows] x {} and index {} must be [R, D] and [M]", x.shape(), index.shape());
  check_index("gather_rows", index, x.size(0));
  const Shape shape{index.size(0), x.size(1)};
  return record("gather_rows", gathered(x.value(), index, shape, x.dtype()), {x}, [index, shape](const BackwardContext& context) {
    const Tensor& dy = context.gradient();
    const auto [dx, accumulate] = context.buffer(0);
    if (!accumulate) dx.zero();
    const Tensor sum = gathered(dx, index, shape, dx.dtype());
    table(dy).elementwise.axpby(dy, sum, 1.0f, 1.0f);
    table(dy).rows.replace(sum, index, dx);
  });
}

Variable replace_rows(const Variable& x, const Tensor& index, const Variable& rows) {
  check_replacement("replace_rows", x, index, rows);
  const Tensor y = like(x.value());
  table(y).elementwise.copy(x.value(), y);
  table(y).rows.replace(rows.value(), index, y);
  return record("replace_rows", y, {x, rows}, [index](const BackwardContext& context) {
    const Tensor& dy = context.gradient();
    if (context.needs(0)) {
      const Tensor dx = like(dy);
      table(dy).elementwise.copy(dy, dx);
      const Tensor nothing = Tensor::zeros({index.elements(), dy.size(1)}, dy.dtype(), dy.device());
      table(dy).rows.replace(nothing, index, dx);
      context.give(0, dx);
    }
    if (context.needs(1)) context.give(1, gathered(dy, index, {index.elements(), dy.size(1)}, dy.dtype()));
  });
}

Variable overwrite_rows(const Variable& x, const Tensor& index, const Variable& rows) {
  check_replacement("overwrite_rows", x, index, rows);
  table(x.value()).rows.replace(rows.value(), index, x.value());
  return record("overwrite_rows", x.value(), {x, rows}, [index](const BackwardContext& context) {
    const Tensor& dy = context.gradient();
    if (context.needs(1)) context.give(1, gathered(dy, index, {index.elements(), dy.size(1)}, dy.dtype()));
    context.give(0, dy);
  });
}

}  // namespace longhaul::ops
