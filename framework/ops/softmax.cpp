#include "framework/ops/softmax.h"

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/support.h"

namespace longhaul::ops {
namespace {

void check_axis(const char* name, const Variable& x) {
  check<ShapeError>(x.value().rank() > 0 && x.size(-1) > 0, "[{}] the last axis of shape {} is empty", name, x.shape());
}

}  // namespace

Variable softmax(const Variable& x) {
  check_axis("softmax", x);
  const Tensor y = like(x.value());
  table(y).softmax.forward(as_rows(x.value()), as_rows(y));
  return record("softmax", y, {x}, [y](const BackwardContext& context) {
    const Tensor dx = like(y);
    table(y).softmax.backward(as_rows(y), as_rows(context.gradient()), as_rows(dx));
    context.give(0, dx);
  });
}

Variable log_softmax(const Variable& x) {
  check_axis("log_softmax", x);
  const Tensor y = like(x.value());
  table(y).softmax.log_forward(as_rows(x.value()), as_rows(y));
  return record("log_softmax", y, {x}, [y](const BackwardContext& context) {
    const Tensor dx = like(y);
    table(y).softmax.log_backward(as_rows(y), as_rows(context.gradient()), as_rows(dx));
    context.give(0, dx);
  });
}

}  // namespace longhaul::ops
