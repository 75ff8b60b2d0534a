#include "framework/ops/linear.h"

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/support.h"

namespace longhaul::ops {

Variable linear(const Variable& x, const Variable& weight, const Variable& bias) {
  check<ShapeError>(weight.value().rank() == 2 && x.value().rank() >= 1 && x.size(-1) == weight.size(1),
                    "[linear] x {} does not fit weight {} (out, in)", x.shape(), weight.shape());
  check<ShapeError>(!bias.defined() || bias.shape() == Shape{weight.size(0)}, "[linear] bias {} does not fit weight {}", bias.shape(), weight.shape());
  Shape shape = x.shape();
  shape[-1] = weight.size(0);
  const Tensor input = dense(x.value());
  const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  table(y).matmul.gemm(as_rows(input), weight.value_as(x.dtype()), view_or_absent(bias.value()), as_rows(y), {.transpose_b = true});
  return record("linear", y, {x, weight, bias}, [input, weight](const BackwardContext& context) {
    const Tensor dy = as_rows(context.gradient());
    if (context.needs(0)) {
      const Tensor dx = like(input);
      table(dy).matmul.gemm(dy, weight.value_as(input.dtype()), absent(), as_rows(dx), {});
      context.give(0, dx);
    }
    if (context.needs(1)) {
      const auto [dw, accumulate] = context.buffer(1);
      table(dy).matmul.gemm(dy, as_rows(input), absent(), dw, {.transpose_a = true, .accumulate = accumulate});
    }
    if (context.needs(2)) {
      const auto [db, accumulate] = context.buffer(2);
      table(dy).reduce.column_sum(dy, db, accumulate);
    }
  });
}

Variable matmul(const Variable& a, const Variable& b, bool transpose_a, bool transpose_b) {
  const int rank = a.value().rank();
  check<ShapeError>((rank == 2 || rank == 3) && b.value().rank() == rank && (rank == 2 || a.size(0) == b.size(0)) && a.dtype() == b.dtype(),
                    "[matmul] {} {} and {} {}: both must be matrices, or equally long lists of matrices, of one dtype", a.dtype(), a.shape(), b.dtype(), b.shape());
  const int64_t inner_a = a.size(transpose_a ? -2 : -1), inner_b = b.size(transpose_b ? -1 : -2);
  check<ShapeError>(inner_a == inner_b, "[matmul] inner sizes {} and {} differ: {} and {}", inner_a, inner_b, a.shape(), b.shape());
  Shape shape = a.shape();
  shape[-2] = a.size(transpose_a ? -1 : -2);
  shape[-1] = b.size(transpose_b ? -2 : -1);
  const Tensor c = Tensor::empty(shape, a.dtype(), a.device());
  table(c).matmul.gemm(a.value(), b.value(), absent(), c, {.transpose_a = transpose_a, .transpose_b = transpose_b});
  return record("matmul", c, {a, b}, [x = a.value(), y = b.value(), transpose_a, transpose_b](const BackwardContext& context) {
    const Tensor& dc = context.gradient();
    const auto& gemm = table(dc).matmul.gemm;
    if (context.needs(0)) {
      const Tensor da = like(x);
      if (transpose_a) gemm(y, dc, absent(), da, {.transpose_a = transpose_b, .transpose_b = true});
      else gemm(dc, y, absent(), da, {.transpose_b = !transpose_b});
      context.give(0, da);
    }
    if (context.needs(1)) {
      const Tensor db = like(y);
      if (transpose_b) gemm(dc, x, absent(), db, {.transpose_a = true, .transpose_b = transpose_a});
      else gemm(x, dc, absent(), db, {.transpose_a = !transpose_a});
      context.give(1, db);
    }
  });
}

}  // namespace longhaul::ops
