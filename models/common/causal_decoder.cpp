#include "models/common/causal_decoder.h"

#include "framework/pattern/builders.h"
#include "models/common/self_attention.h"

namespace longhaul::models {

MixerFactory causal_mixers(const BodyOptions& decoder) {
  return [decoder, patterns = std::make_shared<PatternCache>(pattern::causal)](int layer, nn::Initializer& init) {
    return std::make_unique<SelfAttention>(SelfAttentionOptions::from(decoder, layer), patterns, init);
  };
}

}  // namespace longhaul::models
