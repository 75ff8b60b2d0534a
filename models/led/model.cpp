#include "models/led/model.h"

#include <map>

#include "framework/pattern/builders.h"
#include "models/common/encoder_decoder.h"
#include "models/common/self_attention.h"
#include "models/longformer/attention.h"

namespace longhaul::models {

Pattern led_pattern(const LedOptions& options, const Extent& extent) {
  return longformer_pattern(extent, {options.window_of(0), options.window_of(0), {}}, 0);
}

std::unique_ptr<SequenceModel> build_led(const ModelSpec& spec, nn::Initializer& init) {
  const auto& options = dynamic_cast<const LedOptions&>(*spec.options);
  const BodyOptions& encoder = options.body;
  const BodyOptions decoder = decoder_body(encoder, options.decoder);
  std::map<int64_t, std::shared_ptr<PatternCache>> by_window;  // layers of one window share their patterns
  const auto encoder_mixer = [&](int layer, nn::Initializer& with) -> std::unique_ptr<Mixer> {
    const int64_t window = options.window_of(layer);
    auto& patterns = by_window[window];
    if (!patterns) {
      patterns = std::make_shared<PatternCache>(SidePatternRule([window](const Extent& extent, int64_t side_keys) { return longformer_pattern(extent, {window, window, {}}, side_keys); }));
    }
    return std::make_unique<GlobalWindowAttention>(SelfAttentionOptions::from(encoder, layer), options.globals, patterns, with);
  };
  const auto causal = std::make_shared<PatternCache>(pattern::causal);
  const auto decoder_mixer = [&](int layer, nn::Initializer& with) -> std::unique_ptr<Mixer> {
    return std::make_unique<SelfAttention>(SelfAttentionOptions::from(decoder, layer), causal, with);
  };
  return build_encoder_decoder(spec, {.encoder = encoder, .decoder = decoder, .input = {.norm = true}, .own_inputs = true, .head = {.logits_bias = true}}, encoder_mixer, decoder_mixer, init);
}

}  // namespace longhaul::models
