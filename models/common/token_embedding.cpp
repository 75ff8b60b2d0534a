#include "models/common/token_embedding.h"

#include <limits>

#include "framework/base/error.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/rows.h"

namespace longhaul::models {
namespace {

std::unique_ptr<nn::PositionTable> position_table(const BodyOptions& body, nn::Initializer& init) {
  nn::PositionOptions options{nn::PositionKind::kLearned, body.max_positions, body.axial_shape, body.init_std};
  switch (body.positions) {
    case Positions::kLearned: break;
    case Positions::kSinusoidal: options.kind = nn::PositionKind::kSinusoidal; break;
    case Positions::kAxial: options.kind = nn::PositionKind::kAxial; break;
    case Positions::kRotary:
    case Positions::kNone: return nullptr;
  }
  return std::make_unique<nn::PositionTable>(body.dim, options, init);
}

}  // namespace

SequenceInfo sequence_of(const ModelInputs& inputs, int64_t first) {
  check<ShapeError>(inputs.tokens.rank() == 2 && inputs.tokens.dtype() == DType::kI32, "[model] tokens must be [B, N] i32, received {} {}", inputs.tokens.dtype(), inputs.tokens.shape());
  const int64_t length = inputs.tokens.size(1);
  return {inputs.tokens.size(0), length, first, nn::iota(first, length, inputs.tokens.device()), inputs.documents, inputs.valid, inputs.focus};
}

TokenEmbedding::Table::Table(const Shape& shape, double deviation, nn::Initializer& init) : weight(init.normal(shape, deviation)) { add("weight", weight); }

TokenEmbedding::TokenEmbedding(const BodyOptions& body, int64_t vocabulary, nn::Initializer& init)
    : dropout_(body.embedding_dropout), table_(std::make_unique<Table>(Shape{vocabulary, body.dim}, body.init_std, init)), positions_(position_table(body, init)) {
  add("token_embedding", *table_);
  if (positions_) add("position_embedding", *positions_);
}

Variable TokenEmbedding::operator()(const Tensor& tokens, const SequenceInfo& sequence, const nn::StepContext& context, uint32_t side) const {
  Variable x = ops::embedding(table_->weight, tokens, table_->weight.dtype());
  if (positions_) x = ops::add(x, (*positions_)(sequence.first_position, sequence.length));
  if (!context.training) return x;
  return ops::dropout(x, {.stream = context.stream(side, RandomPurpose::kEmbeddingDropout), .probability = dropout_,
                          .first_element = static_cast<uint64_t>(context.first_row * sequence.length * x.size(-1))});
}

int64_t TokenEmbedding::longest() const { return positions_ ? positions_->rows() : std::numeric_limits<int64_t>::max(); }

}  // namespace longhaul::models
