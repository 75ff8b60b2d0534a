#include "models/common/token_embedding.h"

#include <algorithm>
#include <limits>

#include "framework/base/error.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/rows.h"
#include "framework/ops/shape.h"

namespace longhaul::models {
namespace {

std::unique_ptr<nn::PositionTable> position_table(const BodyOptions& body, int64_t offset, nn::Initializer& init) {
  nn::PositionOptions options{nn::PositionKind::kLearned, body.max_positions + offset, body.axial_shape, body.axial_widths, body.position_std > 0 ? body.position_std : body.init_std};
  switch (body.positions) {
    case Positions::kLearned: break;
    case Positions::kSinusoidal: options.kind = nn::PositionKind::kSinusoidal; break;
    case Positions::kAxial: options.kind = nn::PositionKind::kAxial; break;
    case Positions::kRotary:
    case Positions::kNone: return nullptr;
  }
  return std::make_unique<nn::PositionTable>(body.dim, options, init);
}

/// Rows of a position table whose first `offset` rows belong to padding, as RoBERTa numbers them (Liu et al. 2019, the
/// published code): padding has row offset - 1, other tokens count up from there without it. Undefined where no token of the
/// batch is padding, so that token i has row offset + i.
Tensor rows_beside_padding(const Tensor& tokens, int32_t padding, int64_t offset) {
  if (!tokens.defined() || !tokens.device().is_host() || padding < 0 || offset == 0) return {};
  const int32_t* id = tokens.data<int32_t>();
  if (std::find(id, id + tokens.elements(), padding) == id + tokens.elements()) return {};
  const Tensor rows = Tensor::empty(tokens.shape(), DType::kI32, tokens.device());
  int32_t* row = rows.data<int32_t>();
  for (int64_t b = 0; b < tokens.size(0); ++b) {
    auto next = static_cast<int32_t>(offset);
    for (int64_t i = b * tokens.size(1); i < (b + 1) * tokens.size(1); ++i) row[i] = id[i] == padding ? static_cast<int32_t>(offset - 1) : next++;
  }
  return rows;
}

}  // namespace

SequenceInfo sequence_of(const ModelInputs& inputs, int64_t first) {
  check<ShapeError>(inputs.tokens.rank() == 2 && inputs.tokens.dtype() == DType::kI32, "[model] tokens must be [B, N] i32, received {} {}", inputs.tokens.dtype(), inputs.tokens.shape());
  const int64_t length = inputs.tokens.size(1);
  check<ShapeError>(length > 0, "[model] a sequence has no tokens: {}", inputs.tokens.shape());
  return {inputs.tokens.size(0), length, first, nn::iota(first, length, inputs.tokens.device()), inputs.documents, inputs.valid, inputs.focus, inputs.hidden_states, inputs.tokens, inputs.token_types, {}, inputs.selections};
}

TokenTable::TokenTable(const BodyOptions& body, int64_t vocabulary, nn::Initializer& init, int32_t padding)
    : padding_(padding), weight_(init.normal({vocabulary, body.dim}, body.init_std)) {
  check<ConfigError>(padding < vocabulary, "[model] model.padding_token = {} is no id of a vocabulary of {}\n  hint: -1 where no id stands for padding", padding, vocabulary);
  add("token_embedding.weight", weight_);
}

Variable TokenTable::operator()(const Tensor& tokens) const { return ops::embedding(weight_, tokens, weight_.dtype(), padding_); }

InputEmbedding::InputEmbedding(const BodyOptions& body, const InputOptions& options, nn::Initializer& init)
    : options_(options), dropout_(body.embedding_dropout), positions_(position_table(body, options.position_offset, init)) {
  if (positions_) add("position_embedding", *positions_);
  if (options.token_types > 0) add("token_type_embedding.weight", types_ = init.normal({options.token_types, body.dim}, body.init_std));
  if (options.norm) add("embedding_norm", *(norm_ = std::make_unique<nn::Norm>(body.dim, body.bias, norm_options(body), init)));
}

Variable InputEmbedding::operator()(const Variable& tokens, const SequenceInfo& sequence, const nn::StepContext& context, uint32_t side) const {
  Variable x = options_.scale == 1 ? tokens : ops::scale(tokens, options_.scale);
  if (positions_) x = ops::add(x, position_vectors(sequence));
  if (types_.defined()) x = ops::add(x, type_vectors(sequence));
  if (norm_ && !options_.norm_after_dropout) x = (*norm_)(x, x.dtype());
  if (context.training) {
    x = ops::dropout(x, {.stream = context.stream(side, RandomPurpose::kEmbeddingDropout), .probability = dropout_,
                         .first_element = static_cast<uint64_t>(context.first_row * sequence.length * x.size(-1))});
  }
  return norm_ && options_.norm_after_dropout ? (*norm_)(x, x.dtype()) : x;
}

Variable InputEmbedding::position_vectors(const SequenceInfo& sequence) const {
  check<ConfigError>(sequence.first_position + sequence.length <= longest(),
                     "[positions] position {} is beyond the table of {} positions\n  hint: raise model.max_positions, or use positions without a table (rotary, none)",
                     sequence.first_position + sequence.length - 1, longest());
  const int64_t offset = options_.position_offset;
  const Tensor rows = sequence.first_position == 0 ? rows_beside_padding(sequence.tokens, options_.padding_token, offset) : Tensor();
  if (rows.defined()) return positions_->at(rows, static_cast<int32_t>(offset - 1));
  return (*positions_)(sequence.first_position + offset, sequence.length);
}

Variable InputEmbedding::type_vectors(const SequenceInfo& sequence) const {
  if (sequence.token_types.defined()) return ops::embedding(types_, sequence.token_types, types_.dtype());
  return ops::reshape(ops::slice(types_, 0, 0, 1), {types_.size(1)});
}

int64_t InputEmbedding::longest() const { return positions_ ? positions_->rows() - options_.position_offset : std::numeric_limits<int64_t>::max(); }

TokenEmbedding::TokenEmbedding(const BodyOptions& body, int64_t vocabulary, const InputOptions& options, nn::Initializer& init)
    : table_(body, vocabulary, init, options.padding_token), input_(body, options, init) {
  add("", table_);
  add("", input_);
}

}  // namespace longhaul::models
