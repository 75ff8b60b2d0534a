#include "models/common/encoder_decoder.h"

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/shape.h"
#include "models/common/stack.h"
#include "models/common/token_embedding.h"

namespace longhaul::models {
namespace {

struct SequenceDecodeState final : DecodeState {
  LayerStack::States layers;
  bool select(std::span<const int64_t> rows) override {
    batch_ = static_cast<int64_t>(rows.size());
    return layers.select(rows);
  }
};

constexpr uint32_t kSourceSide = 1;

class EncoderDecoder final : public SequenceModel {
 public:
  EncoderDecoder(const ModelSpec& spec, const MixerFactory& encoder_mixers, const MixerFactory& decoder_mixers, nn::Initializer& init, const HeadLayout& layout)
      : SequenceModel(spec, init.device()),
        embedding_(spec.options->body, spec.vocabulary, init),
        head_(make_head(spec, layout, embedding_.table(), init)),
        encoder_(spec.options->body, spec.memory, encoder_mixers, init),
        decoder_(spec.options->body, spec.memory, decoder_mixers, init, LayerStack::Source::kCrossAttention) {
    check<ConfigError>(spec.head.kind == HeadKind::kTokens, "[model] an encoder_decoder predicts tokens, no classes or spans");
    add("", embedding_);
    add("head", *head_);
    add("encoder", encoder_);
    add("decoder", decoder_);
  }

  ops::CrossEntropyResult loss(const ModelInputs& source, const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const override {
    return head_->loss(hidden(source, inputs, context), inputs, targets, context, chunked(options));
  }

  Variable logits(const ModelInputs& source, const ModelInputs& inputs, const nn::StepContext& context) const override { return head_->outputs(hidden(source, inputs, context), inputs, context); }

  std::unique_ptr<DecodeState> start_decoding(const ModelInputs& source, int64_t capacity, const nn::StepContext& context) const override {
    check<ConfigError>(capacity <= embedding_.longest(), "[generate] {} tokens are asked for, the model's position table has {} rows (model.max_positions)", capacity, embedding_.longest());
    const NoTapeScope quiet;
    auto state = std::make_unique<SequenceDecodeState>();
    prepare(*state, source.tokens.size(0), capacity);
    state->layers = decoder_.start(source.tokens.size(0), capacity, context, encode(source, context));
    return state;
  }

  Tensor decode(const Tensor& tokens, DecodeState& state, const nn::StepContext& context) const override {
    const NoTapeScope quiet;
    check_room(tokens, state);
    const int64_t count = tokens.size(1);
    const SequenceInfo sequence = sequence_of({tokens, {}, {}}, state.length());
    Variable rows = decoder_.step(embedding_(tokens, sequence, context), static_cast<SequenceDecodeState&>(state).layers, sequence, context);
    advance(state, count);
    if (count > 1) rows = ops::slice(rows, 1, count - 1, count);
    return head_->outputs(rows, {}, context).value().reshape({tokens.size(0), spec_.vocabulary});
  }

 private:
  EncodedSource encode(const ModelInputs& source, const nn::StepContext& context) const {
    const SequenceInfo sequence = sequence_of(source, 0);
    return {encoder_.forward(embedding_(source.tokens, sequence, context, kSourceSide), sequence, context), source.valid};
  }

  Variable hidden(const ModelInputs& source, const ModelInputs& inputs, const nn::StepContext& context) const {
    const SequenceInfo sequence = sequence_of(inputs, 0);
    return decoder_.forward(embedding_(inputs.tokens, sequence, context), sequence, context, encode(source, context));
  }

  TokenEmbedding embedding_;
  std::unique_ptr<Head> head_;
  LayerStack encoder_, decoder_;
};

}  // namespace

std::unique_ptr<SequenceModel> build_encoder_decoder(const ModelSpec& spec, const MixerFactory& encoder_mixers, const MixerFactory& decoder_mixers, nn::Initializer& init, const HeadLayout& layout) {
  return std::make_unique<EncoderDecoder>(spec, encoder_mixers, decoder_mixers, init, layout);
}

}  // namespace longhaul::models
