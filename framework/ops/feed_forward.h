// defines: feed_forward, FeedForwardOptions, Activation
#pragma once
#include "framework/autograd/variable.h"

namespace longhaul::ops {

enum class Activation { kGelu, kGeluTanh, kRelu, kSilu, kTanh, kSwiglu };

struct FeedForwardOptions {
  Activation activation = Activation::kGelu;
  int64_t chunk_rows = 0;  // 0: all rows at once in the forward, and the pre-activation is kept
};

struct FeedForwardWeights {
  Variable in, in_bias;    // [F, D] (SwiGLU: [2F, D]), [F] (2F) or undefined
  Variable out, out_bias;  // [D, F], [D] or undefined
};

/// y = out(act(in(x))), position by position (Vaswani et al. 2017, section 3.3; SwiGLU: Shazeer 2020).
///
/// x [.., D] -> [.., D] in x's dtype. Keeps x and the pre-activation; the activation itself is computed again in the backward.
/// With chunk_rows only x is kept and both passes work on that many rows at a time (Kitaev et al. 2020, section 3): the
/// same function, one more product; weight gradients are summed chunk by chunk.
/// Equals linear(activation(linear(x))) made of plain ops, which is its test.
Variable feed_forward(const Variable& x, const FeedForwardWeights& weights, const FeedForwardOptions& options);

}  // namespace longhaul::ops
