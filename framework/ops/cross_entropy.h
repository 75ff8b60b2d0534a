// defines: cross_entropy, linear_cross_entropy, CrossEntropyResult, LossOptions
#pragma once
#include "framework/autograd/variable.h"

namespace longhaul::ops {

struct LossOptions {
  double label_smoothing = 0;  // weight e of the mean over classes: (1-e) CE(target) + e mean_v(-log p_v)
  double scale = 1;            // factor on the summed loss, usually 1 / scored tokens of the whole step
  double auxiliary_scale = 1;  // factor on losses that a model trains parts of itself by, usually 1 / batches of the step
  int64_t chunk_rows = 0;      // rows of logits that exist at a time; 0: about 64 MiB of them
  bool best = false;           // fill CrossEntropyResult::best
};

struct CrossEntropyResult {
  Variable loss;  // [1]: scale * sum over scored rows of the (smoothed) loss in nats
  Tensor nll;     // [R]: -log p(target), unsmoothed and unscaled; 0 in rows that are not scored
  Tensor best = {};  // [R] i32: the likeliest class of each row, where it was asked for and is known
};

/// logits [.., V] f32, target [..] i32 (-1 = not scored). Saves the gradient of the logits.
CrossEntropyResult cross_entropy(const Variable& logits, const Tensor& target, const LossOptions& options = {});

/// cross_entropy(linear(hidden, weight, bias), target) without the logits ever existing as a whole.
///
/// hidden [.., D], weight [V, D], bias [V] or undefined, target [..] i32. The gradients are computed together with the loss, chunk
/// by chunk of rows (three products), and scaled in the backward; keeps d hidden and d weight between the two.
/// Equals the composition of plain ops, which is its test.
CrossEntropyResult linear_cross_entropy(const Variable& hidden, const Variable& weight, const Variable& bias, const Tensor& target, const LossOptions& options = {});

}  // namespace longhaul::ops
