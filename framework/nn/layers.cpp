#include "framework/nn/layers.h"

#include "framework/ops/linear.h"

namespace longhaul::nn {

Linear::Linear(int64_t in, int64_t out, bool bias, double deviation, Initializer& init) : weight_(init.normal({out, in}, deviation)) {
  add("weight", weight_);
  if (bias) add("bias", bias_ = init.constant({out}, 0));
}

Variable Linear::operator()(const Variable& x) const { return ops::linear(x, weight_, bias_); }

Variable Linear::constant(const Variable& x) const { return ops::linear(x, Variable(weight_.value_as(x.dtype())), Variable(bias_.value())); }

Norm::Norm(int64_t width, bool bias, const ops::NormOptions& options, Initializer& init) : weight_(init.constant({width}, 1)), options_(options) {
  Module::add("weight", weight_);
  if (bias && !options.rms) Module::add("bias", bias_ = init.constant({width}, 0));
}

Variable Norm::operator()(const Variable& x, DType out) const { return ops::normalize(x, weight_, bias_, options_, out); }

Variable Norm::constant(const Variable& x, DType out) const { return ops::normalize(x, Variable(weight_.value()), Variable(bias_.value()), options_, out); }

ops::ResidualNormal Norm::add(const Variable& x, const Variable& delta, DType out) const { return ops::residual_normalize(x, delta, weight_, bias_, options_, out); }

FeedForward::FeedForward(int64_t width, int64_t inner, bool bias, double deviation, double out_deviation, const ops::FeedForwardOptions& options, Initializer& init)
    : in_(width, options.activation == ops::Activation::kSwiglu ? 2 * inner : inner, bias, deviation, init), out_(inner, width, bias, out_deviation, init), options_(options) {
  add("in", in_);
  add("out", out_);
}

Variable FeedForward::operator()(const Variable& x) const {
  return ops::feed_forward(x, {.in = in_.weight(), .in_bias = in_.bias(), .out = out_.weight(), .out_bias = out_.bias()}, options_);
}

}  // namespace longhaul::nn
