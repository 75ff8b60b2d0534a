// defines: TokenTable, InputOptions, InputEmbedding, TokenEmbedding, sequence_of
#pragma once
#include <memory>

#include "framework/nn/layers.h"
#include "framework/nn/positions.h"
#include "models/common/mixer.h"
#include "models/common/options.h"
#include "models/model.h"

namespace longhaul::models {

/// The sequence of some inputs whose first token has position `first`. throws ShapeError
SequenceInfo sequence_of(const ModelInputs& inputs, int64_t first);

/// Vectors of tokens. Parameters: token_embedding.weight [V, D].
class TokenTable final : public nn::Module {
 public:
  TokenTable(const BodyOptions& body, int64_t vocabulary, nn::Initializer& init) : weight_(init.normal({vocabulary, body.dim}, body.init_std)) { add("token_embedding.weight", weight_); }
  /// tokens [B, N] i32 -> [B, N, D] in the parameters' dtype.
  Variable operator()(const Tensor& tokens) const;
  const Variable& weight() const { return weight_; }

 private:
  Variable weight_;
};

/// What surrounds the sum of token and position vectors.
struct InputOptions {
  double scale = 1;   // factor on the token vectors
  bool norm = false;  // layer normalisation of the sum, before the dropout
};

/// Token vectors to the start of the residual stream: norm(scale x + position), then dropout. Parameters: position_embedding.*,
/// and with `norm` embedding_norm.*.
class InputEmbedding final : public nn::Module {
 public:
  InputEmbedding(const BodyOptions& body, const InputOptions& options, nn::Initializer& init);
  /// x [B, N, D] -> [B, N, D] in the parameters' dtype. `side` 1 is the source of a model with two sides.
  Variable operator()(const Variable& x, const SequenceInfo& sequence, const nn::StepContext& context, uint32_t side = 0) const;
  /// Longest sequence the position table serves; no limit without a table.
  int64_t longest() const;

 private:
  InputOptions options_;
  double dropout_;
  std::unique_ptr<nn::PositionTable> positions_;
  std::unique_ptr<nn::Norm> norm_;
};

/// Both in one, for models with one kind of input.
class TokenEmbedding final : public nn::Module {
 public:
  TokenEmbedding(const BodyOptions& body, int64_t vocabulary, nn::Initializer& init);
  /// tokens [B, N] i32 -> [B, N, D] in the parameters' dtype, with its dropout.
  Variable operator()(const Tensor& tokens, const SequenceInfo& sequence, const nn::StepContext& context) const { return input_(table_(tokens), sequence, context); }
  int64_t longest() const { return input_.longest(); }
  /// The token table [V, D].
  const Variable& table() const { return table_.weight(); }

 private:
  TokenTable table_;
  InputEmbedding input_;
};

}  // namespace longhaul::models
