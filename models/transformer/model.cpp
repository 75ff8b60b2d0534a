#include "models/transformer/model.h"

#include "framework/pattern/builders.h"
#include "models/common/self_attention.h"
#include "models/common/token_model.h"

namespace longhaul::models {

std::unique_ptr<LanguageModel> build_transformer(const ModelSpec& spec, nn::Initializer& init) {
  const BodyOptions& body = spec.options->body;
  const auto patterns = std::make_shared<PatternCache>(spec.form == Form::kDecoder ? pattern::causal : pattern::dense);
  return build_token_model(spec, [&](int layer, nn::Initializer& with) {
    return std::make_unique<SelfAttention>(SelfAttentionOptions::from(body, layer), patterns, with);
  }, init);
}

}  // namespace longhaul::models
