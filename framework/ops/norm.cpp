#include "framework/ops/norm.h"

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/support.h"

namespace longhaul::ops {
namespace {

struct Statistics {
  Tensor mean, rstd;  // [R]
};

Statistics statistics_for(const Tensor& x) {
  const int64_t rows = as_rows(x).size(0);
  const DType dtype = statistics_dtype(x.dtype());
  return {Tensor::empty({rows}, dtype, x.device()), Tensor::empty({rows}, dtype, x.device())};
}

void check_norm(const Variable& x, const Variable& gamma, const Variable& beta, const NormOptions& options) {
  check<ShapeError>(x.value().rank() > 0 && gamma.shape() == Shape{x.size(-1)}, "[norm] gamma {} does not fit x {}", gamma.shape(), x.shape());
  check<ShapeError>(!beta.defined() || (!options.rms && beta.shape() == gamma.shape()), "[norm] beta {} does not fit gamma {} (rms: {})", beta.shape(), gamma.shape(), options.rms);
}

/// Buffers of gamma and beta, which kernels add to: a fresh one is cleared first.
Tensor added_to(const BackwardContext& context, int input) {
  if (!context.needs(input)) return {};
  const auto [buffer, accumulate] = context.buffer(input);
  if (!accumulate) buffer.zero();
  return buffer;
}

}  // namespace

Variable normalize(const Variable& x, const Variable& gamma, const Variable& beta, const NormOptions& options, DType out) {
  check_norm(x, gamma, beta, options);
  const Tensor y = like(x.value(), out);
  const Statistics saved = statistics_for(x.value());
  table(y).norm.forward(as_rows(x.value()), absent(), gamma.value(), view_or_absent(beta.value()), absent(), as_rows(y), saved.mean, saved.rstd, options);
  return record("normalize", y, {x, gamma, beta}, [x = x.value(), gamma, saved, options](const BackwardContext& context) {
    const Tensor dx = like(x);
    table(x).norm.backward(as_rows(context.gradient()), absent(), as_rows(x), gamma.value(), saved.mean, saved.rstd, as_rows(dx), absent(),
                           view_or_absent(added_to(context, 1)), view_or_absent(added_to(context, 2)), options);
    context.give(0, dx);
  });
}

ResidualNormal residual_normalize(const Variable& x, const Variable& delta, const Variable& gamma, const Variable& beta, const NormOptions& options, DType out) {
  check_norm(x, gamma, beta, options);
  check<ShapeError>(x.shape() == delta.shape(), "[residual_normalize] x {} and delta {} differ", x.shape(), delta.shape());
  const Tensor sum = like(x.value()), y = like(x.value(), out);
  const Statistics saved = statistics_for(x.value());
  table(y).norm.forward(as_rows(x.value()), as_rows(delta.value()), gamma.value(), view_or_absent(beta.value()), as_rows(sum), as_rows(y), saved.mean, saved.rstd, options);
  const Tensor outputs[] = {sum, y};
  const Variable inputs[] = {x, delta, gamma, beta};
  const auto results = record("residual_normalize", outputs, inputs, [sum, gamma, saved, options, low = delta.dtype()](const BackwardContext& context) {
    const Tensor dsum = context.take(0);
    const Tensor dy = context.take(1);
    if (!dy.defined()) {  // the normal was not used: only the addition is left
      context.give(0, dsum);
      if (context.needs(1)) context.give(1, cast_tensor(dsum, low));
      return;
    }
    const Tensor dx = dsum.defined() && dsum.shared_by() == 1 ? dsum : like(sum);
    const Tensor ddelta = low == sum.dtype() ? Tensor() : like(sum, low);
    table(sum).norm.backward(as_rows(dy), dsum.defined() ? as_rows(dsum).view() : absent(), as_rows(sum), gamma.value(), saved.mean, saved.rstd, as_rows(dx),
                             ddelta.defined() ? as_rows(ddelta).view() : absent(), view_or_absent(added_to(context, 2)), view_or_absent(added_to(context, 3)), options);
    context.give(0, dx);
    context.give(1, ddelta.defined() ? ddelta : dx);
  });
  return {results[0], results[1]};
}

}  // namespace longhaul::ops
