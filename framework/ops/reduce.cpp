#include "framework/ops/reduce.h"

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/support.h"

namespace longhaul::ops {

Variable sum(const Variable& x) {
  const Tensor wide = Tensor::empty({1}, DType::kF64, x.device());
  table(wide).reduce.sum(x.value(), wide);
  return record("sum", cast_tensor(wide, statistics_dtype(x.dtype())), {x}, [shape = x.shape(), dtype = x.dtype()](const BackwardContext& context) {
    const Tensor& dy = context.gradient();
    const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
    table(dy).elementwise.fill(dx, 1.0);
    table(dy).elementwise.binary(dx, dy, dx, kernels::BinaryOp::kMultiply);
    context.give(0, cast_tensor(dx, dtype));
  });
}

Variable mean(const Variable& x) {
  check<ShapeError>(x.value().elements() > 0, "[mean] shape {} has no elements", x.shape());
  return scale(sum(x), 1.0 / static_cast<double>(x.value().elements()));
}

}  // namespace longhaul::ops
