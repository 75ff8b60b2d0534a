#include "framework/ops/elementwise.h"

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/support.h"

namespace longhaul::ops {
namespace {

using kernels::BinaryOp;

/// b's shape must be a suffix of a's.
void check_suffix(const char* name, const Tensor& a, const Tensor& b) {
  bool fits = b.rank() <= a.rank() && a.dtype() == b.dtype();
  for (int axis = 1; fits && axis <= b.rank(); ++axis) fits = a.size(-axis) == b.size(-axis);
  check<ShapeError>(fits, "[{}] {} {} and {} {}: the second must be a suffix of the first, of the same dtype", name, a.dtype(), a.shape(), b.dtype(), b.shape());
}

Tensor apply(const Tensor& a, const Tensor& b, BinaryOp op) {
  const Tensor out = like(a);
  table(a).elementwise.binary(a, b, out, op);
  return out;
}

/// Sums a gradient of a's shape over the axes along which b was repeated.
Tensor reduced_to(const Tensor& gradient, const Tensor& b) {
  if (gradient.shape() == b.shape()) return gradient;
  const Tensor sum = Tensor::empty(b.shape(), statistics_dtype(b.dtype()), b.device());
  const int64_t columns = b.elements();
  table(b).reduce.column_sum(gradient.reshape({columns > 0 ? gradient.elements() / columns : 0, columns}), sum.reshape({columns}), false);
  return cast_tensor(sum, b.dtype());
}

Tensor scaled(const Tensor& x, double factor) {
  const Tensor out = like(x);
  table(x).elementwise.axpby(x, out, factor, 0);
  return out;
}

Variable linear_pair(const char* name, const Variable& a, const Variable& b, BinaryOp op, double sign) {
  check_suffix(name, a.value(), b.value());
  return record(name, apply(a.value(), b.value(), op), {a, b}, [b_value = b.value(), sign](const BackwardContext& context) {
    context.give(0, context.gradient());
    if (context.needs(1)) {
      const Tensor gradient = reduced_to(context.gradient(), b_value);
      context.give(1, sign == 1.0 ? gradient : scaled(gradient, sign));
    }
  });
}

}  // namespace

Variable add(const Variable& a, const Variable& b) { return linear_pair("add", a, b, BinaryOp::kAdd, 1.0); }
Variable subtract(const Variable& a, const Variable& b) { return linear_pair("subtract", a, b, BinaryOp::kSubtract, -1.0); }

Variable multiply(const Variable& a, const Variable& b) {
  check_suffix("multiply", a.value(), b.value());
  return record("multiply", apply(a.value(), b.value(), BinaryOp::kMultiply), {a, b}, [x = a.value(), y = b.value()](const BackwardContext& context) {
    if (context.needs(0)) context.give(0, apply(context.gradient(), y, BinaryOp::kMultiply));
    if (context.needs(1)) context.give(1, reduced_to(apply(context.gradient(), x, BinaryOp::kMultiply), y));
  });
}

Variable divide(const Variable& a, const Variable& b) {
  check_suffix("divide", a.value(), b.value());
  const Tensor quotient = apply(a.value(), b.value(), BinaryOp::kDivide);
  return record("divide", quotient, {a, b}, [quotient, y = b.value()](const BackwardContext& context) {
    const Tensor da = apply(context.gradient(), y, BinaryOp::kDivide);
    context.give(0, da);
    if (context.needs(1)) context.give(1, scaled(reduced_to(apply(da, quotient, BinaryOp::kMultiply), y), -1.0));
  });
}

Variable scale(const Variable& x, double factor) {
  return record("scale", scaled(x.value(), factor), {x}, [factor](const BackwardContext& context) { context.give(0, scaled(context.gradient(), factor)); });
}

Variable unary(const Variable& x, UnaryOp op) {
  const Tensor y = like(x.value());
  table(y).elementwise.unary(x.value(), y, op);
  return record("unary", y, {x}, [x = x.value(), op](const BackwardContext& context) {
    const Tensor dx = like(x);
    table(x).elementwise.unary_backward(x, context.gradient(), dx, op);
    context.give(0, dx);
  });
}

Variable dropout(const Variable& x, const DropoutOptions& options) {
  if (options.probability == 0) return x;
  check<ShapeError>(options.probability > 0 && options.probability < 1, "[dropout] probability {} is not in [0, 1)", options.probability);
  const Tensor y = like(x.value());
  table(y).elementwise.dropout(x.value(), y, options);
  return record("dropout", y, {x}, [options](const BackwardContext& context) {
    const Tensor dx = like(context.gradient());
    table(dx).elementwise.dropout(context.gradient(), dx, options);
    context.give(0, dx);
  });
}

Variable dropout_rows(const Variable& x, const Tensor& index, const DropoutOptions& options) {
  if (options.probability == 0) return x;
  check<ShapeError>(options.probability > 0 && options.probability < 1, "[dropout] probability {} is not in [0, 1)", options.probability);
  check<ShapeError>(x.value().rank() == 2 && index.elements() == x.size(0) && index.dtype() == DType::kI32, "[dropout] x {} and index {} {} must be [M, D] and [M] i32", x.shape(), index.dtype(), index.shape());
  const auto drop = [index, options](const Tensor& from, const Tensor& to) {
    if (from.device().is_meta()) return table(to).elementwise.dropout(from, to, options);
    for (int64_t m = 0; m < from.size(0); ++m) {
      DropoutOptions row = options;
      row.first_element += static_cast<uint64_t>(index.data<int32_t>()[m] * from.size(1));
      table(to).elementwise.dropout(from.slice(0, m, m + 1), to.slice(0, m, m + 1), row);
    }
  };
  const Tensor y = like(x.value());
  drop(x.value(), y);
  return record("dropout_rows", y, {x}, [drop](const BackwardContext& context) {
    const Tensor dx = like(context.gradient());
    drop(context.gradient(), dx);
    context.give(0, dx);
  });
}

Variable cast(const Variable& x, DType dtype) {
  if (x.dtype() == dtype) return x;
  return record("cast", cast_tensor(x.value(), dtype), {x}, [from = x.dtype()](const BackwardContext& context) {
    context.give(0, cast_tensor(context.gradient(), from));
  });
}

Variable swiglu(const Variable& x) {
  check<ShapeError>(x.value().rank() > 0 && x.size(-1) % 2 == 0, "[swiglu] the last axis of {} is not two halves", x.shape());
  Shape shape = x.shape();
  shape[-1] /= 2;
  const Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  table(y).elementwise.swiglu(as_rows(x.value()), as_rows(y));
  return record("swiglu", y, {x}, [x = x.value()](const BackwardContext& context) {
    const Tensor dx = like(x);
    table(x).elementwise.swiglu_backward(as_rows(x), as_rows(context.gradient()), as_rows(dx));
    context.give(0, dx);
  });
}

}  // namespace longhaul::ops
