#include "models/reformer/model.h"

#include <algorithm>

#include "framework/pattern/builders.h"
#include "framework/tensor/random.h"
#include "models/common/causal_decoder.h"
#include "models/common/encoder_decoder.h"
#include "models/common/self_attention.h"
#include "models/common/token_model.h"
#include "models/reformer/attention.h"

namespace longhaul::models {
namespace {

Pattern local_pattern(const ReformerOptions& o, const Extent& extent) { return pattern::local_chunks(extent, o.local_chunks(), o.local_ring); }

Pattern full_pattern(const ReformerOptions& o, const Extent& extent) { return o.causal() ? pattern::causal(extent) : pattern::dense(extent); }

}  // namespace

MixerFactory reformer_mixers(const ReformerOptions& options) {
  const auto local = std::make_shared<PatternCache>([options](const Extent& extent) { return local_pattern(options, extent); });
  const auto full = std::make_shared<PatternCache>([options](const Extent& extent) { return full_pattern(options, extent); });
  const auto sorted = std::make_shared<PatternCache>([options](const Extent& extent) {
    const Pattern sorted = pattern::sorted_chunks(extent.queries, options.lsh_chunks());
    return options.count_once ? pattern::listed_once(sorted) : sorted;
  });
  return [=, kinds = reformer_layers(options)](int layer, nn::Initializer& init) -> std::unique_ptr<Mixer> {
    const auto attention = SelfAttentionOptions::from(options.body, layer);
    switch (kinds[static_cast<size_t>(layer)]) {
      case ReformerLayer::kLocal: return std::make_unique<SelfAttention>(attention, local, init);
      case ReformerLayer::kFull: return std::make_unique<SelfAttention>(attention, full, init);
      case ReformerLayer::kLsh: break;
    }
    return std::make_unique<LshAttention>(attention, options, sorted, init);
  };
}

std::unique_ptr<LanguageModel> build_reformer(const ModelSpec& spec, nn::Initializer& init) {
  const auto& options = dynamic_cast<const ReformerOptions&>(*spec.options);
  return build_token_model(spec, reformer_mixers(options), init, {.head = {.output_bias = true}});
}

std::unique_ptr<SequenceModel> build_sequence_reformer(const ModelSpec& spec, nn::Initializer& init) {
  const BodyOptions& body = spec.options->body;
  const auto encoder = [&body, patterns = std::make_shared<PatternCache>(PatternRule(pattern::dense))](int layer, nn::Initializer& with) {
    return std::make_unique<SelfAttention>(SelfAttentionOptions::from(body, layer), patterns, with);
  };
  return build_encoder_decoder(spec, {.encoder = body, .decoder = body, .input = {}, .head = {.output_bias = true}}, encoder, causal_mixers(body), init);
}

Pattern reformer_picture(const ReformerOptions& options, const Extent& extent) {
  const auto kinds = reformer_layers(options);
  if (std::ranges::find(kinds, ReformerLayer::kLsh) == kinds.end())
    return kinds.front() == ReformerLayer::kLocal ? local_pattern(options, extent) : full_pattern(options, extent);
  const int64_t length = extent.queries;
  if (length <= options.lsh_chunk) return pattern::others(extent, options.causal());
  const RandomStream stream{.seed = 1, .step = 0, .layer = 0, .purpose = RandomPurpose::kHashRotation};
  int64_t buckets = 1;
  for (const int64_t factor : options.bucket_factors(length)) buckets *= factor;
  std::vector<std::pair<int64_t, int32_t>> order;
  for (int64_t n = 0; n < length; ++n) order.emplace_back(static_cast<int64_t>(stream.word(static_cast<uint64_t>(n))) % buckets, static_cast<int32_t>(n));
  std::ranges::sort(order);
  Permutation permutation;
  for (const auto& [bucket, token] : order) permutation.rows.push_back(token);
  const Pattern sorted = pattern::sorted_chunks(length, options.lsh_chunks());
  permutation.rows.resize(static_cast<size_t>(sorted.query_rows()), -1);
  return pattern::with_order(sorted, permutation);
}

}  // namespace longhaul::models
