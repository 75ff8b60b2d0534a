#include "models/transformer/model.h"

#include "framework/pattern/builders.h"
#include "models/common/encoder_decoder.h"
#include "models/common/self_attention.h"
#include "models/common/token_model.h"

namespace longhaul::models {
namespace {

MixerFactory attention_over(const BodyOptions& body, PatternRule rule) {
  return [&body, patterns = std::make_shared<PatternCache>(std::move(rule))](int layer, nn::Initializer& init) {
    return std::make_unique<SelfAttention>(SelfAttentionOptions::from(body, layer), patterns, init);
  };
}

}  // namespace

std::unique_ptr<LanguageModel> build_transformer(const ModelSpec& spec, nn::Initializer& init) {
  return build_token_model(spec, attention_over(spec.options->body, spec.form == Form::kDecoder ? pattern::causal : pattern::dense), init);
}

std::unique_ptr<SequenceModel> build_sequence_transformer(const ModelSpec& spec, nn::Initializer& init) {
  const BodyOptions& body = spec.options->body;
  return build_encoder_decoder(spec, attention_over(body, pattern::dense), attention_over(body, pattern::causal), init);
}

}  // namespace longhaul::models
