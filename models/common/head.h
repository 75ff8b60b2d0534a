// defines: HeadLayout, Head, make_head
#pragma once
#include <memory>

#include "framework/nn/module.h"
#include "framework/ops/elementwise.h"
#include "models/model.h"

namespace longhaul::models {

/// Where heads of public models differ from each other. A family states its own; configurations do not.
struct HeadLayout {
  /// kTokens: a dense layer, an activation and a norm before the output projection (Devlin et al. 2019, appendix A.2).
  bool transform = false;
  ops::UnaryOp transform_activation = ops::UnaryOp::kGelu;
  /// kTokens: an output bias even where the projection is the token table; with `transform` there always is one.
  bool output_bias = false;
  /// kTokens: instead of a trained bias a buffer, logits_bias [1, V], that is loaded and not trained.
  bool logits_bias = false;
  /// kClasses: between its dense layer and its projection.
  ops::UnaryOp class_activation = ops::UnaryOp::kTanh;
  /// kSpans: a feed-forward layer with a residual and a norm before the projection; no answer lies in the question (BigBird).
  bool span_layer = false;
};

/// From the last hidden states to what the model says. hidden [B, N, D] in context.compute; [B, N, 2D] where the two streams
/// of a reversible stack are concatenated (output_width).
///
///   kTokens   z = h W^T + b; with the transform h = norm(activation(dense(hidden))). Parameters: weight [V, D] unless it is
///             the token table, bias [V] or logits_bias [1, V], and dense.weight [D, D], dense.bias [D], norm.weight [D], norm.bias [D]
///   kClasses  z = W activation(dense(p)) + b, p = hidden of the first position, or the mean of the valid ones. Dropout before
///             both. Parameters: dense.weight [D, D], dense.bias [D], out.weight [C, D], out.bias [C]
///   kSpans    z_start, z_end of each position = W h + b, -1e6 where no span may begin or end. With span_layer
///             h = norm(h + dropout(feed_forward(dropout(h)))). Parameters: out.weight [2, D], out.bias [2], and
///             feed_forward.in.*, feed_forward.out.*, norm.* as in a layer of the stack
class Head : public nn::Module {
 public:
  /// See Model::loss; targets as in ModelBatch.
  virtual ops::CrossEntropyResult loss(const Variable& hidden, const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const = 0;
  /// See Model::outputs.
  virtual Variable outputs(const Variable& hidden, const ModelInputs& inputs, const nn::StepContext& context) const = 0;
};

/// The head that spec.head asks for; `table` [V, D] are the token embeddings. throws ConfigError
std::unique_ptr<Head> make_head(const ModelSpec& spec, const HeadLayout& layout, const Variable& table, nn::Initializer& init);

}  // namespace longhaul::models
