// defines: nn::Linear, nn::Norm, nn::FeedForward
#pragma once
#include <optional>

#include "framework/nn/module.h"
#include "framework/ops/feed_forward.h"
#include "framework/ops/norm.h"

namespace longhaul::nn {

/// y = x W^T + b; x [.., in] -> [.., out]. Parameters weight [out, in], bias [out].
class Linear final : public Module {
 public:
  Linear(int64_t in, int64_t out, bool bias, double deviation, Initializer& init);
  Variable operator()(const Variable& x) const;
  /// The same, its parameters being constants: gradients reach x only.
  Variable constant(const Variable& x) const;
  const Variable& weight() const { return weight_; }
  const Variable& bias() const { return bias_; }

 private:
  Variable weight_, bias_;
};

/// Layer normalisation or its root-mean-square form over the last axis. Parameters weight [D] (gamma), bias [D] (beta).
class Norm final : public Module {
 public:
  Norm(int64_t width, bool bias, const ops::NormOptions& options, Initializer& init);
  /// normalize(x) in dtype `out`.
  Variable operator()(const Variable& x, DType out) const;
  /// The same, its parameters being constants: gradients reach x only.
  Variable constant(const Variable& x, DType out) const;
  /// x + delta and its norm, in one pass.
  ops::ResidualNormal add(const Variable& x, const Variable& delta, DType out) const;

 private:
  Variable weight_, bias_;
  ops::NormOptions options_;
};

/// Position-wise feed-forward (ops::feed_forward). Parameters in.weight, in.bias, out.weight, out.bias.
class FeedForward final : public Module {
 public:
  FeedForward(int64_t width, int64_t inner, bool bias, double deviation, double out_deviation, const ops::FeedForwardOptions& options, Initializer& init);
  Variable operator()(const Variable& x) const;

 private:
  Linear in_, out_;
  ops::FeedForwardOptions options_;
};

}  // namespace longhaul::nn
