#include "models/bigbird/model.h"

#include <algorithm>
#include <limits>

#include "framework/pattern/builders.h"
#include "models/bigbird/pattern.h"
#include "models/common/token_model.h"

namespace longhaul::models {
namespace {

RandomBlocks random_of(const BlockOptions& o, const BodyOptions& body, int layer, const BlockGraph& graph, bool training) {
  const RandomBlockShape shape{.length = graph.length, .block = graph.block, .slots = o.random_blocks, .heads = body.heads};
  if (o.random_blocks == 0) return {};
  if (o.random == RandomRule::kPublicTraining && !training) return first_block_lists(shape);
  if (o.random != RandomRule::kCounter) return public_random_blocks(shape, body.max_positions, layer);
  const int64_t first = graph.globals > 0 ? 0 : 1;  // the end blocks of ITC see everything
  const int64_t rows = std::max<int64_t>(graph.count() - 2 * first, 0);
  return counter_random_blocks(shape, first, rows, static_cast<uint64_t>(o.random_seed), layer, [&](int64_t row) { return seen_blocks(graph, row); });
}

}  // namespace

Pattern block_pattern(const BlockOptions& o, const BodyOptions& body, int layer, const Extent& extent, bool training) {
  if (!o.sparse || extent.keys <= o.full_below()) return pattern::dense(extent);
  const BlockGraph graph{std::max<int64_t>(extent.keys - o.extra_globals, 0), o.block, std::min(o.extra_globals, extent.keys)};
  return bigbird_pattern(graph, random_of(o, body, layer, graph, training));
}

BlockPatterns block_patterns(const BlockOptions& o, const BodyOptions& body, int layer) {
  const auto cache = [&](bool training) {
    return std::make_shared<PatternCache>([o, body, layer, training](const Extent& extent) { return block_pattern(o, body, layer, extent, training); });
  };
  BlockPatterns out{cache(true), nullptr, o.sparse ? o.full_below() : std::numeric_limits<int64_t>::max()};
  out.evaluation = o.random == RandomRule::kPublicTraining ? cache(false) : out.training;
  return out;
}

std::unique_ptr<LanguageModel> build_bigbird(const ModelSpec& spec, nn::Initializer& init) {
  const auto& options = dynamic_cast<const BigBirdOptions&>(*spec.options);
  TokenModelParts parts{.head = head_layout(options.layout, options.body), .input = input_options(options.layout, options.body), .prefix = options.blocks.extra_globals};
  // The public classification head has the activation of the feed-forward layers.
  parts.head.class_activation = parts.head.transform_activation;
  return build_token_model(spec, [&options](int layer, nn::Initializer& with) {
    return std::make_unique<BlockAttention>(SelfAttentionOptions::from(options.body, layer), block_patterns(options.blocks, options.body, layer), with);
  }, init, parts);
}

}  // namespace longhaul::models
