#include "models/common/token_model.h"

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/shape.h"
#include "models/common/stack.h"
#include "models/common/token_embedding.h"

namespace longhaul::models {
namespace {

struct TokenDecodeState final : DecodeState {
  LayerStack::States layers;
  bool select(std::span<const int64_t> rows) override {
    batch_ = static_cast<int64_t>(rows.size());
    return layers.select(rows);
  }
};

class TokenModel final : public LanguageModel {
 public:
  TokenModel(const ModelSpec& spec, const MixerFactory& mixers, nn::Initializer& init, const HeadLayout& layout)
      : LanguageModel(spec, init.device()),
        embedding_(spec.options->body, spec.vocabulary, init),
        head_(make_head(spec, layout, embedding_.table(), init)),
        stack_(spec.options->body, spec.memory, mixers, init) {
    add("", embedding_);
    add("head", *head_);
    add("", stack_);
  }

  Variable hidden(const ModelInputs& inputs, const nn::StepContext& context) const override {
    const SequenceInfo sequence = sequence_of(inputs, 0);
    return stack_.forward(embedding_(inputs.tokens, sequence, context), sequence, context);
  }

  ops::CrossEntropyResult loss(const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const override {
    return head_->loss(hidden(inputs, context), inputs, targets, context, chunked(options));
  }

  Variable logits(const ModelInputs& inputs, const nn::StepContext& context) const override { return head_->outputs(hidden(inputs, context), inputs, context); }

  std::unique_ptr<DecodeState> start_decoding(int64_t batch, int64_t capacity, const nn::StepContext& context) const override {
    check<ConfigError>(capacity <= embedding_.longest(), "[generate] {} tokens are asked for, the model's position table has {} rows (model.max_positions)", capacity, embedding_.longest());
    check<ConfigError>(spec_.form == Form::kDecoder, "[generate] this model is an encoder: it does not generate from left to right");
    check<ConfigError>(spec_.head.kind == HeadKind::kTokens, "[generate] this model has no head over the vocabulary: it does not generate");
    auto state = std::make_unique<TokenDecodeState>();
    prepare(*state, batch, capacity);
    state->layers = stack_.start(batch, capacity, context);
    return state;
  }

  Tensor decode(const Tensor& tokens, DecodeState& state, const nn::StepContext& context) const override {
    const NoTapeScope quiet;
    check_room(tokens, state);
    const int64_t count = tokens.size(1);
    const SequenceInfo sequence = sequence_of({tokens, {}, {}}, state.length());
    Variable rows = stack_.step(embedding_(tokens, sequence, context), static_cast<TokenDecodeState&>(state).layers, sequence, context);  // [B, n, D]
    advance(state, count);
    if (count > 1) rows = ops::slice(rows, 1, count - 1, count);
    return head_->outputs(rows, {}, context).value().reshape({tokens.size(0), spec_.vocabulary});
  }

 private:
  TokenEmbedding embedding_;
  std::unique_ptr<Head> head_;
  LayerStack stack_;
};

}  // namespace

std::unique_ptr<LanguageModel> build_token_model(const ModelSpec& spec, const MixerFactory& mixers, nn::Initializer& init, const HeadLayout& layout) {
  return std::make_unique<TokenModel>(spec, mixers, init, layout);
}

}  // namespace longhaul::models
