#include "models/led/exchange.h"

#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "models/common/sequence_reference.h"
#include "models/exchange/bart.h"
#include "models/led/options.h"
#include "models/longformer/exchange.h"

namespace longhaul::models {
namespace {

exchange::NameMap names_of(const exchange::BartLayout& layout) {
  exchange::NameMap map;
  exchange::add_bart_names(map, layout);
  const std::string theirs = layout.prefix + "encoder.layers.{}.self_attn.", self = theirs + "longformer_self_attn.", ours = "encoder.layers.{}.attention.";
  const int64_t layers = layout.encoder.layers, width = layout.encoder.dim;
  exchange::add_projections(map, layers, {self + "query", self + "key", self + "value"}, ours + "qkv", width, true);
  exchange::add_linear(map, layers, self + "query_global", ours + "query_global", true);
  exchange::add_projections(map, layers, {self + "key_global", self + "value_global"}, ours + "key_value_global", width, true);
  exchange::add_linear(map, layers, theirs + "output", ours + "out", true);
  return map;
}

/// Everything config.json and the names of the tensors say.
PublicSequenceModel read(const std::string& config_json, const std::set<std::string>& tensors) {
  const exchange::PublicConfig config(config_json);
  exchange::BartLayout layout = exchange::bart_layout(config, {.prefix = "led.", .vocabulary = 50265, .layers = 12, .activation = "gelu"}, tensors);
  layout.embedding_norm = true;
  const auto options = std::make_shared<LedOptions>();
  LedOptions& o = *options;
  o.body = layout.encoder;
  o.body.norm = NormPlacement::kPost;
  o.body.max_positions = config.count("max_encoder_position_embeddings", 16384);
  o.decoder = layout.decoder;
  o.decoder.max_positions = config.count("max_decoder_position_embeddings", 1024);
  o.global_tokens = GlobalChoice::kFirst;
  o.window = public_windows(config, o.body.layers);
  return {public_spec("led", options, layout.vocabulary), names_of(layout), static_cast<int32_t>(config.count("eos_token_id", 2, 0)), static_cast<int32_t>(config.count("pad_token_id", 1, 0)), o.decoder.max_positions};
}

std::string to_json(const ModelSpec& spec) {
  const auto& o = dynamic_cast<const LedOptions&>(*spec.options);
  for (const int64_t step : o.dilation) check<CheckpointError>(step == 1, "[exchange] model.dilation: the public LED knows 1 only");
  check<CheckpointError>(o.global_tokens != GlobalChoice::kNone, "[exchange] model.global_tokens = none: the public LED has projections of global tokens");
  check<CheckpointError>(o.body.attention_bias, "[exchange] model.attention_bias: the public LED knows true only");
  nlohmann::ordered_json json;
  json["architectures"] = {"LEDForConditionalGeneration"};
  for (int layer = 0; layer < o.body.layers; ++layer) {
    const int64_t window = o.window_of(layer, false).left;
    check<CheckpointError>(window > 0, "[exchange] model.window = 0: the public LED needs 1 or more");
    json["attention_window"].push_back(2 * window);
  }
  exchange::write_bart_json(json, o.body, o.decoder, NormPlacement::kPost, spec.vocabulary);
  json["max_decoder_position_embeddings"] = o.decoder.max_positions;
  json["max_encoder_position_embeddings"] = o.body.max_positions;
  json["model_type"] = "led";
  return json.dump(2) + "\n";
}

}  // namespace

exchange::Family led_exchange() {
  return sequence_exchange("led", "led", read, to_json, exchange::LongerPositions{"encoder.position_embedding.weight", "max_encoder_position_embeddings", 0});
}

std::shared_ptr<const ReferenceLoader> led_reference() {
  return sequence_reference("led", read, [](PublicSequenceModel& model, const ReferenceCase&) {
    const auto options = std::make_shared<LedOptions>(dynamic_cast<const LedOptions&>(*model.spec.options));
    options->global_tokens = GlobalChoice::kData;  // the case marks its global tokens
    model.spec.options = options;
  });
}

}  // namespace longhaul::models
