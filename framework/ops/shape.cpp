#include "framework/ops/shape.h"

#include <vector>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/support.h"

namespace longhaul::ops {

Variable reshape(const Variable& x, std::initializer_list<int64_t> sizes) {
  return record("reshape", x.value().reshape(sizes), {x}, [shape = x.shape()](const BackwardContext& context) { context.give(0, context.gradient().reshape(shape)); });
}

Variable permute(const Variable& x, std::initializer_list<int> order) {
  std::vector<int> axes(order);
  return record("permute", dense(x.value().permute(order)), {x}, [axes, shape = x.shape()](const BackwardContext& context) {
    const Tensor& dy = context.gradient();
    const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
    Shape seen;  // dx in the order of dy: written through a permuted view
    Strides strides{};
    const Strides own = contiguous_strides(shape);
    std::array<int64_t, kMaxRank> sizes{};
    for (size_t i = 0; i < axes.size(); ++i) {
      sizes[i] = shape[axes[i]];
      strides[i] = own[axes[i]];
    }
    seen = Shape(std::span<const int64_t>(sizes.data(), axes.size()));
    table(dy).elementwise.copy(dy, dx.as_strided(seen, strides, 0));
    context.give(0, dx);
  });
}

Variable slice(const Variable& x, int axis, int64_t begin, int64_t end) {
  return record("slice", dense(x.value().slice(axis, begin, end)), {x}, [shape = x.shape(), axis, begin, end](const BackwardContext& context) {
    const Tensor& dy = context.gradient();
    const Tensor dx = Tensor::zeros(shape, dy.dtype(), dy.device());
    table(dy).elementwise.copy(dy, dx.slice(axis, begin, end));
    context.give(0, dx);
  });
}

Variable concat(std::span<const Variable> parts, int axis) {
  check<ShapeError>(!parts.empty(), "[concat] no parts were given");
  Shape shape = parts[0].shape();
  const int along = axis < 0 ? axis + shape.rank() : axis;
  check<ShapeError>(along >= 0 && along < shape.rank(), "[concat] axis {} is out of range for shape {}", axis, shape);
  int64_t total = 0;
  for (const Variable& part : parts) {
    Shape same = part.shape();
    const int64_t length = same.rank() == shape.rank() ? same[along] : 0;
    if (same.rank() == shape.rank()) same[along] = shape[along];
    check<ShapeError>(same == shape && part.dtype() == parts[0].dtype(), "[concat] part {} {} does not fit {} {} along axis {}", part.dtype(), part.shape(),
                      parts[0].dtype(), parts[0].shape(), along);
    total += length;
  }
  shape[along] = total;
  const Tensor y = Tensor::empty(shape, parts[0].dtype(), parts[0].device());
  std::vector<int64_t> starts{0};
  for (const Variable& part : parts) {
    table(y).elementwise.copy(part.value(), y.slice(along, starts.back(), starts.back() + part.size(along)));
    starts.push_back(starts.back() + part.size(along));
  }
  return record("concat", {&y, 1}, parts, [starts, along](const BackwardContext& context) {
    for (size_t i = 0; i + 1 < starts.size(); ++i) {
      if (context.needs(static_cast<int>(i))) context.give(static_cast<int>(i), dense(context.gradient().slice(along, starts[i], starts[i + 1])));
    }
  }).front();
}

}  // namespace longhaul::ops
