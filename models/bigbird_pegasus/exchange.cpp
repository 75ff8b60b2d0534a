#include "models/bigbird_pegasus/exchange.h"

#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "models/bigbird/exchange.h"
#include "models/bigbird_pegasus/options.h"
#include "models/common/sequence_reference.h"
#include "models/exchange/bart.h"

namespace longhaul::models {
namespace {

exchange::NameMap names_of(const exchange::BartLayout& layout) {
  exchange::NameMap map;
  exchange::add_bart_names(map, layout);
  const std::string theirs = layout.prefix + "encoder.layers.{}.self_attn.", self = theirs + "self.", ours = "encoder.layers.{}.attention.";
  const bool bias = layout.encoder.attention_bias;
  exchange::add_projections(map, layout.encoder.layers, {self + "query", self + "key", self + "value"}, ours + "qkv", layout.encoder.dim, bias);
  exchange::add_linear(map, layout.encoder.layers, theirs + "output", ours + "out", bias);
  return map;
}

/// Everything config.json and the names of the tensors say.
PublicSequenceModel read(const std::string& config_json, const std::set<std::string>& tensors) {
  const exchange::PublicConfig config(config_json);
  exchange::BartLayout layout = exchange::bart_layout(config, {.prefix = "model.", .vocabulary = 96103, .layers = 16, .activation = "gelu_new"}, tensors);
  layout.encoder.attention_bias = config.boolean("use_bias", false);
  const auto options = std::make_shared<BigBirdPegasusOptions>();
  BigBirdPegasusOptions& o = *options;
  o.body = layout.encoder;
  o.body.norm = NormPlacement::kPre;
  o.decoder = layout.decoder;
  o.body.max_positions = o.decoder.max_positions = config.count("max_position_embeddings", 4096);
  o.scale_embeddings = config.boolean("scale_embedding", true);
  o.blocks = read_public_blocks(config);
  return {public_spec("bigbird_pegasus", options, layout.vocabulary), names_of(layout), static_cast<int32_t>(config.count("eos_token_id", 1, 0)), static_cast<int32_t>(config.count("pad_token_id", 0, 0)), o.decoder.max_positions};
}

std::string to_json(const ModelSpec& spec) {
  const auto& o = dynamic_cast<const BigBirdPegasusOptions&>(*spec.options);
  check<CheckpointError>(o.decoder.max_positions == o.body.max_positions, "[exchange] model.decoder_max_positions: the public BigBird-Pegasus knows max_positions for both sides only");
  nlohmann::ordered_json json;
  json["architectures"] = {"BigBirdPegasusForConditionalGeneration"};
  write_public_blocks(json, o.blocks, "BigBird-Pegasus");
  exchange::write_bart_json(json, o.body, o.decoder, NormPlacement::kPre, spec.vocabulary);
  json["max_position_embeddings"] = o.body.max_positions;
  json["model_type"] = "bigbird_pegasus";
  json["scale_embedding"] = o.scale_embeddings;
  json["use_bias"] = o.body.attention_bias;
  return json.dump(2) + "\n";
}

}  // namespace

exchange::Family bigbird_pegasus_exchange() { return sequence_exchange("bigbird_pegasus", "bigbird_pegasus", read, to_json); }

std::shared_ptr<const ReferenceLoader> bigbird_pegasus_reference() {
  return sequence_reference("bigbird_pegasus", read, [](PublicSequenceModel& model, const ReferenceCase& reference) {
    const auto& options = dynamic_cast<const BigBirdPegasusOptions&>(*model.spec.options);
    model.aux = drawn_blocks(options.blocks, options.body, reference);
  });
}

}  // namespace longhaul::models
