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
  return {inputs.tokens.size(0), length, first, nn::iota(first, length, inputs.tokens.device()), inputs.documents, inputs.valid, inputs.focus, inputs.hidden_states};
}

Variable TokenTable::operator()(const Tensor& tokens) const { return ops::embedding(weight_, tokens, weight_.dtype()); }

InputEmbedding::InputEmbedding(const BodyOptions& body, const InputOptions& options, nn::Initializer& init)
    : options_(options), dropout_(body.embedding_dropout), positions_(position_table(body, init)) {
  if (positions_) add("position_embedding", *positions_);
  if (options.norm) add("embedding_norm", *(norm_ = std::make_unique<nn::Norm>(body.dim, body.bias, norm_options(body), init)));
}

Variable InputEmbedding::operator()(const Variable& tokens, const SequenceInfo& sequence, const nn::StepContext& context, uint32_t side) const {
  Variable x = options_.scale == 1 ? tokens : ops::scale(tokens, options_.scale);
  if (positions_) x = ops::add(x, (*positions_)(sequence.first_position, sequence.length));
  if (norm_) x = (*norm_)(x, x.dtype());
  if (!context.training) return x;
  return ops::dropout(x, {.stream = context.stream(side, RandomPurpose::kEmbeddingDropout), .probability = dropout_,
                          .first_element = static_cast<uint64_t>(context.first_row * sequence.length * x.size(-1))});
}

int64_t InputEmbedding::longest() const { return positions_ ? positions_->rows() : std::numeric_limits<int64_t>::max(); }

TokenEmbedding::TokenEmbedding(const BodyOptions& body, int64_t vocabulary, nn::Initializer& init) : table_(body, vocabulary, init), input_(body, {}, init) {
  add("", table_);
  add("", input_);
}

}  // namespace longhaul::models
