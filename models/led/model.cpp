#include "models/led/model.h"

#include "models/common/causal_decoder.h"
#include "models/common/encoder_decoder.h"
#include "models/longformer/attention.h"
#include "models/longformer/model.h"

namespace longhaul::models {

std::unique_ptr<SequenceModel> build_led(const ModelSpec& spec, nn::Initializer& init) {
  const auto& options = dynamic_cast<const LedOptions&>(*spec.options);
  const BodyOptions& encoder = options.body;
  const BodyOptions decoder = decoder_body(encoder, options.decoder);
  const auto encoder_mixers = [&options, patterns = longformer_patterns(options, false)](int layer, nn::Initializer& with) {
    return std::make_unique<GlobalWindowAttention>(SelfAttentionOptions::from(options.body, layer), options.globals(), patterns[static_cast<size_t>(layer)], with);
  };
  return build_encoder_decoder(spec, {.encoder = encoder, .decoder = decoder, .input = {.norm = true}, .own_inputs = true, .head = {.logits_bias = true}}, encoder_mixers, causal_mixers(decoder), init);
}

}  // namespace longhaul::models
