// defines: TokenEmbedding, sequence_of
#pragma once
#include <memory>

#include "framework/nn/module.h"
#include "framework/nn/positions.h"
#include "models/common/mixer.h"
#include "models/common/options.h"
#include "models/model.h"

namespace longhaul::models {

/// The sequence of some inputs whose first token has position `first`. throws ShapeError
SequenceInfo sequence_of(const ModelInputs& inputs, int64_t first);

/// Tokens to the start of the residual stream. Parameters: token_embedding.weight [V, D], position_embedding.*.
class TokenEmbedding final : public nn::Module {
 public:
  TokenEmbedding(const BodyOptions& body, int64_t vocabulary, nn::Initializer& init);
  /// tokens [B, N] i32 -> [B, N, D] in the parameters' dtype, with its dropout. `side` 1 is the source of a model with two sides.
  Variable operator()(const Tensor& tokens, const SequenceInfo& sequence, const nn::StepContext& context, uint32_t side = 0) const;
  /// Longest sequence the position table serves; no limit without a table.
  int64_t longest() const;

  /// The token table [V, D].
  const Variable& table() const { return table_->weight; }

 private:
  struct Table final : nn::Module {
    Table(const Shape& shape, double deviation, nn::Initializer& init);
    Variable weight;
  };
  double dropout_;
  std::unique_ptr<Table> table_;
  std::unique_ptr<nn::PositionTable> positions_;
};

}  // namespace longhaul::models
