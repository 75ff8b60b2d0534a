#include "models/local/model.h"

#include "framework/pattern/builders.h"
#include "models/common/self_attention.h"
#include "models/common/token_model.h"

namespace longhaul::models {

Pattern local_pattern(const LocalOptions& options, bool causal, const Extent& extent) {
  if (options.kind == LocalKind::kBlock) return pattern::blocks(extent, options.window, causal);
  return causal ? pattern::sliding_window(extent, options.window - 1, 0) : pattern::sliding_window(extent, options.window, options.window);
}

std::unique_ptr<LanguageModel> build_local(const ModelSpec& spec, nn::Initializer& init) {
  const auto& options = dynamic_cast<const LocalOptions&>(*spec.options);
  const bool causal = spec.form == Form::kDecoder;
  const auto patterns = std::make_shared<PatternCache>([options, causal](const Extent& extent) { return local_pattern(options, causal, extent); });
  return build_token_model(spec, [&](int layer, nn::Initializer& with) {
    return std::make_unique<SelfAttention>(SelfAttentionOptions::from(options.body, layer), patterns, with);
  }, init);
}

}  // namespace longhaul::models
