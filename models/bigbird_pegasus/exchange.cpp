#include "models/bigbird_pegasus/exchange.h"

#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "models/bigbird/exchange.h"
#include "models/bigbird_pegasus/options.h"
#include "models/common/sequence_reference.h"
#include "models/exchange/bart.h"
#include "models/exchange/model_yaml.h"

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
  o.blocks.block = config.count("block_size", 64);
  o.blocks.random_blocks = config.count("num_random_blocks", 3, 0);
  o.blocks.random = RandomRule::kPublicTraining;
  const std::string type = config.text("attention_type", "block_sparse");
  check<CheckpointError>(type == "block_sparse" || type == "original_full", "[exchange] config.json: attention_type = \"{}\": expected block_sparse or original_full", type);
  o.blocks.sparse = type == "block_sparse";
  return {public_spec("bigbird_pegasus", options, layout.vocabulary), names_of(layout), config.count("eos_token_id", 1, 0), config.count("pad_token_id", 0, 0)};
}

std::string to_json(const ModelSpec& spec) {
  const auto& o = dynamic_cast<const BigBirdPegasusOptions&>(*spec.options);
  check<CheckpointError>(o.blocks.short_full, "[exchange] model.short_full: the public BigBird-Pegasus knows true only");
  check<CheckpointError>(o.blocks.random != RandomRule::kCounter || o.blocks.random_blocks == 0 || !o.blocks.sparse,
                         "[exchange] the public BigBird-Pegasus draws its own random blocks; a model trained with model.random = counter would see others there");
  check<CheckpointError>(o.decoder.max_positions == o.body.max_positions, "[exchange] model.decoder_max_positions: the public BigBird-Pegasus knows max_positions for both sides only");
  nlohmann::ordered_json json;
  json["architectures"] = {"BigBirdPegasusForConditionalGeneration"};
  json["attention_type"] = o.blocks.sparse ? "block_sparse" : "original_full";
  json["block_size"] = o.blocks.block;
  exchange::write_bart_json(json, o.body, o.decoder, NormPlacement::kPre, spec.vocabulary);
  json["max_position_embeddings"] = o.body.max_positions;
  json["model_type"] = "bigbird_pegasus";
  json["num_random_blocks"] = o.blocks.random_blocks;
  json["scale_embedding"] = o.scale_embeddings;
  json["use_bias"] = o.body.attention_bias;
  return json.dump(2) + "\n";
}

}  // namespace

exchange::Family bigbird_pegasus_exchange() {
  exchange::Family family;
  family.name = "bigbird_pegasus";
  family.model_types = {"bigbird_pegasus"};
  family.read = [](const std::string& config, const std::set<std::string>& tensors) {
    const PublicSequenceModel model = read(config, tensors);
    return exchange::FamilyReading{model.names, exchange::model_yaml("bigbird_pegasus", *model.spec.options, "seq2seq", model.spec.options->body.max_positions), {}, model.spec};
  };
  family.to_json = to_json;
  return family;
}

std::shared_ptr<const ReferenceLoader> bigbird_pegasus_reference() {
  return std::make_shared<SequenceReference>("bigbird_pegasus", [](const std::string& config_json, const ReferenceCase& reference) {
    PublicSequenceModel out = read(config_json, exchange::tensor_names(io::Path(reference.folder)));
    const auto& options = dynamic_cast<const BigBirdPegasusOptions&>(*out.spec.options);
    out.aux = drawn_blocks(options.blocks, options.body, reference);
    return out;
  });
}

}  // namespace longhaul::models
