#include "models/common/token_model.h"

#include <optional>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/nn/positions.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/linear.h"
#include "framework/ops/rows.h"
#include "framework/ops/shape.h"
#include "models/common/stack.h"

namespace longhaul::models {
namespace {

struct TokenDecodeState final : DecodeState {
  LayerStack::States layers;
};

std::unique_ptr<nn::PositionTable> position_table(const BodyOptions& body, nn::Initializer& init) {
  nn::PositionOptions options{.rows = body.max_positions, .axial_shape = body.axial_shape, .deviation = body.init_std};
  switch (body.positions) {
    case Positions::kLearned: options.kind = nn::PositionKind::kLearned; break;
    case Positions::kSinusoidal: options.kind = nn::PositionKind::kSinusoidal; break;
    case Positions::kAxial: options.kind = nn::PositionKind::kAxial; break;
    case Positions::kRotary:
    case Positions::kNone: return nullptr;
  }
  return std::make_unique<nn::PositionTable>(body.dim, options, init);
}

/// A part that is one table: parameter weight [V, D].
struct Table final : nn::Module {
  Table(const Shape& shape, double deviation, nn::Initializer& init) : weight(init.normal(shape, deviation)) { add("weight", weight); }
  Variable weight;
};

class TokenModel final : public LanguageModel {
 public:
  TokenModel(const ModelSpec& spec, const MixerFactory& mixers, nn::Initializer& init)
      : LanguageModel(spec, init.device()), body_(spec.options->body), tokens_({spec.vocabulary, body_.dim}, body_.init_std, init), positions_(position_table(body_, init)),
        stack_(body_, spec.memory, mixers, init) {
    add("token_embedding", tokens_);
    if (positions_) add("position_embedding", *positions_);
    add("", stack_);
    if (!body_.tied_embeddings) add("head", *(head_ = std::make_unique<nn::Linear>(body_.dim, spec.vocabulary, body_.bias, body_.init_std, init)));
  }

  Variable hidden(const ModelInputs& inputs, const nn::StepContext& context) const override {
    const SequenceInfo sequence = sequence_of(inputs, 0);
    return stack_.forward(embed(inputs.tokens, sequence, context), sequence, context);
  }

  ops::CrossEntropyResult loss(const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const override {
    ops::LossOptions chunked = options;
    if (chunked.chunk_rows == 0) chunked.chunk_rows = spec_.memory.chunk_loss;
    return ops::linear_cross_entropy(hidden(inputs, context), head_weight(), head_bias(), targets, chunked);
  }

  Variable logits(const ModelInputs& inputs, const nn::StepContext& context) const override { return project(hidden(inputs, context)); }

  std::unique_ptr<DecodeState> start_decoding(int64_t batch, int64_t capacity, const nn::StepContext& context) const override {
    check<ConfigError>(!positions_ || capacity <= positions_->rows(), "[generate] {} tokens are asked for, the model's position table has {} rows (model.max_positions)", capacity,
                       positions_ ? positions_->rows() : 0);
    check<ConfigError>(body_.form == Form::kDecoder, "[generate] this model is an encoder: it does not generate from left to right");
    auto state = std::make_unique<TokenDecodeState>();
    prepare(*state, batch, capacity);
    state->layers = stack_.start(batch, capacity, context);
    return state;
  }

  Tensor decode(const Tensor& tokens, DecodeState& state, const nn::StepContext& context) const override {
    const NoTapeScope quiet;
    const int64_t batch = tokens.size(0), count = tokens.size(1);
    check<ShapeError>(batch == state.batch() && count > 0 && state.length() + count <= state.capacity(), "[decode] tokens {} do not fit a cache of {} sequences with {} of {} tokens", tokens.shape(),
                      state.batch(), state.length(), state.capacity());
    const SequenceInfo sequence = sequence_of({tokens, {}, {}}, state.length());
    Variable rows = stack_.step(embed(tokens, sequence, context), static_cast<TokenDecodeState&>(state).layers, sequence, context);  // [B, n, D]
    advance(state, count);
    if (count > 1) rows = ops::slice(rows, 1, count - 1, count);
    return project(rows).value().reshape({batch, spec_.vocabulary});
  }

 private:
  const Variable& head_weight() const { return head_ ? head_->weight() : tokens_.weight; }
  Variable head_bias() const { return head_ ? head_->bias() : Variable(); }

  SequenceInfo sequence_of(const ModelInputs& inputs, int64_t first) const {
    check<ShapeError>(inputs.tokens.rank() == 2 && inputs.tokens.dtype() == DType::kI32, "[model] tokens must be [B, N] i32, received {} {}", inputs.tokens.dtype(), inputs.tokens.shape());
    const int64_t length = inputs.tokens.size(1);
    return {inputs.tokens.size(0), length, first, nn::iota(first, length, inputs.tokens.device()), inputs.documents, inputs.valid};
  }

  /// [B, N, D] in the parameters' dtype: the start of the residual stream.
  Variable embed(const Tensor& tokens, const SequenceInfo& sequence, const nn::StepContext& context) const {
    Variable x = ops::embedding(tokens_.weight, tokens, tokens_.weight.dtype());
    if (positions_) x = ops::add(x, (*positions_)(sequence.first_position, sequence.length));
    if (!context.training) return x;
    return ops::dropout(x, {.stream = context.stream(0, RandomPurpose::kEmbeddingDropout), .probability = body_.embedding_dropout,
                            .first_element = static_cast<uint64_t>(context.first_row * sequence.length * body_.dim)});
  }

  /// Logits in the parameters' dtype.
  Variable project(const Variable& hidden) const { return ops::linear(ops::cast(hidden, head_weight().dtype()), head_weight(), head_bias()); }

  BodyOptions body_;
  Table tokens_;
  std::unique_ptr<nn::PositionTable> positions_;
  LayerStack stack_;
  std::unique_ptr<nn::Linear> head_;  // absent: tied to the token table
};

}  // namespace

std::unique_ptr<LanguageModel> build_token_model(const ModelSpec& spec, const MixerFactory& mixers, nn::Initializer& init) {
  return std::make_unique<TokenModel>(spec, mixers, init);
}

}  // namespace longhaul::models
