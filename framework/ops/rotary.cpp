#include "framework/ops/rotary.h"

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/support.h"

namespace longhaul::ops {
namespace {

Tensor rotated(const Tensor& x, const Tensor& position, int64_t first, int64_t count, const kernels::RotaryOptions& options) {
  const Tensor y = like(x);
  table(x).elementwise.copy(x, y);
  const Tensor part = y.slice(2, first, first + count);
  table(x).rotary.rotate(part, position, part, options);
  return y;
}

}  // namespace

Variable rotary(const Variable& x, const Tensor& position, int64_t first, int64_t count, double base) {
  const Shape& shape = x.shape();
  check<ShapeError>(shape.rank() == 4 && shape[3] % 2 == 0, "[rotary] x must be [B, N, heads, d] with an even d, received {}", shape);
  check<ShapeError>(position.dtype() == DType::kI32 && (position.shape() == Shape{shape[1]} || position.shape() == Shape{shape[0], shape[1]}),
                    "[rotary] positions {} {} do not fit x {}", position.dtype(), position.shape(), shape);
  return record("rotary", rotated(x.value(), position, first, count, {.base = base}), {x}, [position, first, count, base](const BackwardContext& context) {
    context.give(0, rotated(context.gradient(), position, first, count, {.base = base, .inverse = true}));
  });
}

}  // namespace longhaul::ops
