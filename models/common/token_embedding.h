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
  /// The row of `padding` gets no gradient from the input; -1: every row does.
  TokenTable(const BodyOptions& body, int64_t vocabulary, nn::Initializer& init, int32_t padding = -1);
  /// tokens [B, N] i32 -> [B, N, D] in the parameters' dtype.
  Variable operator()(const Tensor& tokens) const;
  const Variable& weight() const { return weight_; }

 private:
  int32_t padding_;
  Variable weight_;
};

/// What surrounds the sum of token and position vectors.
struct InputOptions {
  double scale = 1;   // factor on the token vectors
  bool norm = false;  // layer normalisation of the sum, before the dropout
  bool norm_after_dropout = false;
  int64_t token_types = 0;      // rows of a table of token types; 0: none
  int64_t position_offset = 0;  // rows of a learned position table before that of position 0
  int32_t padding_token = -1;   // id of padding: no gradient to its vector; with an offset, positions are counted without it
};

/// Token vectors to the start of the residual stream: norm(scale x + position + type), then dropout. Parameters:
/// position_embedding.*, with token types token_type_embedding.weight [T, D], and with `norm` embedding_norm.*.
class InputEmbedding final : public nn::Module {
 public:
  InputEmbedding(const BodyOptions& body, const InputOptions& options, nn::Initializer& init);
  /// x [B, N, D] -> [B, N, D] in the parameters' dtype. `side` 1 is the source of a model with two sides.
  Variable operator()(const Variable& x, const SequenceInfo& sequence, const nn::StepContext& context, uint32_t side = 0) const;
  /// Longest sequence the position table serves; no limit without a table.
  int64_t longest() const;

 private:
  Variable position_vectors(const SequenceInfo& sequence) const;  // [N, D] or [B, N, D]
  Variable type_vectors(const SequenceInfo& sequence) const;      // [D] or [B, N, D]
  InputOptions options_;
  double dropout_;
  std::unique_ptr<nn::PositionTable> positions_;
  Variable types_;
  std::unique_ptr<nn::Norm> norm_;
};

/// Both in one, for models with one kind of input.
class TokenEmbedding final : public nn::Module {
 public:
  TokenEmbedding(const BodyOptions& body, int64_t vocabulary, const InputOptions& options, nn::Initializer& init);
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
