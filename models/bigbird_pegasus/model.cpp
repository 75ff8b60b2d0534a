#include "models/bigbird_pegasus/model.h"

#include <cmath>

#include "models/bigbird/model.h"
#include "models/common/causal_decoder.h"
#include "models/common/encoder_decoder.h"

namespace longhaul::models {

std::unique_ptr<SequenceModel> build_bigbird_pegasus(const ModelSpec& spec, nn::Initializer& init) {
  const auto& options = dynamic_cast<const BigBirdPegasusOptions&>(*spec.options);
  const BodyOptions& encoder = options.body;
  const BodyOptions decoder = decoder_body(encoder, options.decoder);
  const auto encoder_mixers = [&options](int layer, nn::Initializer& with) {
    return std::make_unique<BlockAttention>(SelfAttentionOptions::from(options.body, layer), block_patterns(options.blocks, options.body, layer), with);
  };
  const InputOptions input{.scale = options.scale_embeddings ? std::sqrt(static_cast<double>(encoder.dim)) : 1};
  return build_encoder_decoder(spec, {.encoder = encoder, .decoder = decoder, .input = input, .own_inputs = true, .head = {.logits_bias = true}}, encoder_mixers, causal_mixers(decoder), init);
}

}  // namespace longhaul::models
