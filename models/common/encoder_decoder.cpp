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
constexpr uint32_t kSourceLayers = 1u << 24;  // first layer number of the encoder, beyond those of any decoder

class EncoderDecoder final : public SequenceModel {
 public:
  EncoderDecoder(const ModelSpec& spec, const EncoderDecoderOptions& options, const MixerFactory& encoder_mixers, const MixerFactory& decoder_mixers, nn::Initializer& init)
      : SequenceModel(spec, init.device()),
        table_(options.encoder, spec.vocabulary, init),
        input_(options.decoder, options.input, init),
        source_input_(options.own_inputs ? std::make_unique<InputEmbedding>(options.encoder, options.input, init) : nullptr),
        head_(make_head(spec, options.head, table_.weight(), init)),
        encoder_(options.encoder, spec.memory, encoder_mixers, init),
        decoder_(options.decoder, spec.memory, decoder_mixers, init, LayerStack::Source::kCrossAttention) {
    check<ConfigError>(spec.head.kind == HeadKind::kTokens, "[model] an encoder_decoder predicts tokens, no classes or spans");
    add("", table_);
    if (source_input_) add("encoder", *source_input_);
    add(source_input_ ? "decoder" : "", input_);
    add("head", *head_);
    add("encoder", encoder_);
    add("decoder", decoder_);
  }

  ops::CrossEntropyResult loss(const ModelInputs& source, const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const override {
    return head_->loss(hidden(source, inputs, context), inputs, targets, context, chunked(options));
  }

  Variable logits(const ModelInputs& source, const ModelInputs& inputs, const nn::StepContext& context) const override { return head_->outputs(hidden(source, inputs, context), inputs, context); }

  std::unique_ptr<DecodeState> start_decoding(const ModelInputs& source, int64_t capacity, const nn::StepContext& context) const override {
    check<ConfigError>(capacity <= input_.longest(), "[generate] {} tokens are asked for, the model's position table has {} rows (model.decoder_max_positions, or model.max_positions where the family has one table)", capacity, input_.longest());
    const NoTapeScope quiet;
    auto state = std::make_unique<SequenceDecodeState>();
    prepare(*state, source.tokens.size(0), capacity);
    state->layers = decoder_.start(source.tokens.size(0), capacity, context, encode(source, context));
    return state;
  }

  int64_t longest_target() const override { return input_.longest(); }

  Tensor decode(const Tensor& tokens, DecodeState& state, const nn::StepContext& context) const override {
    const NoTapeScope quiet;
    check_room(tokens, state);
    const int64_t count = tokens.size(1);
    const SequenceInfo sequence = sequence_of({tokens, {}, {}}, state.length());
    Variable rows = decoder_.step(input_(table_(tokens), sequence, context), static_cast<SequenceDecodeState&>(state).layers, sequence, context);
    advance(state, count);
    if (count > 1) rows = ops::slice(rows, 1, count - 1, count);
    return head_->outputs(rows, {}, context).value().reshape({tokens.size(0), spec_.vocabulary});
  }

 private:
  EncodedSource encode(const ModelInputs& source, const nn::StepContext& context) const {
    const SequenceInfo sequence = sequence_of(source, 0);
    const InputEmbedding& input = source_input_ ? *source_input_ : input_;
    nn::StepContext own = context;
    own.first_layer = kSourceLayers;
    return {encoder_.forward(input(table_(source.tokens), sequence, context, kSourceSide), sequence, own), source.valid};
  }

  Variable hidden(const ModelInputs& source, const ModelInputs& inputs, const nn::StepContext& context) const {
    const SequenceInfo sequence = sequence_of(inputs, 0);
    return decoder_.forward(input_(table_(inputs.tokens), sequence, context), sequence, context, encode(source, context));
  }

  TokenTable table_;
  InputEmbedding input_;                          // of the target, and of the source where it has none of its own
  std::unique_ptr<InputEmbedding> source_input_;
  std::unique_ptr<Head> head_;
  LayerStack encoder_, decoder_;
};

}  // namespace

std::unique_ptr<SequenceModel> build_encoder_decoder(const ModelSpec& spec, const EncoderDecoderOptions& options, const MixerFactory& encoder_mixers, const MixerFactory& decoder_mixers, nn::Initializer& init) {
  return std::make_unique<EncoderDecoder>(spec, options, encoder_mixers, decoder_mixers, init);
}

std::unique_ptr<SequenceModel> build_encoder_decoder(const ModelSpec& spec, const MixerFactory& encoder_mixers, const MixerFactory& decoder_mixers, nn::Initializer& init) {
  return build_encoder_decoder(spec, {.encoder = spec.options->body, .decoder = spec.options->body, .input = {}, .head = {}}, encoder_mixers, decoder_mixers, init);
}

}  // namespace longhaul::models
