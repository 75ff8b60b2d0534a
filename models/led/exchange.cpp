#include "models/led/exchange.h"

#include "framework/base/error.h"
#include "models/common/sequence_reference.h"
#include "models/exchange/bart.h"
#include "models/exchange/model_yaml.h"
#include "models/led/options.h"

namespace longhaul::models {
namespace {

using exchange::BartLayout;
using exchange::NameMap;
using exchange::PublicConfig;

struct PublicLed {
  std::shared_ptr<LedOptions> options;
  NameMap names;
  int64_t vocabulary = 0;
  int32_t start = 0, end = 0, pad = 0;
};

NameMap names_of(const BartLayout& layout) {
  NameMap map;
  exchange::add_bart_names(map, layout);
  const std::string theirs = layout.prefix + "encoder.layers.{}.self_attn.", inner = theirs + "longformer_self_attn.", ours = "encoder.layers.{}.attention.";
  const int64_t layers = layout.encoder.layers, width = layout.encoder.dim;
  exchange::add_projections(map, layers, {inner + "query", inner + "key", inner + "value"}, ours + "qkv", width, true);
  exchange::add_linear(map, layers, inner + "query_global", ours + "query_global", true);
  exchange::add_projections(map, layers, {inner + "key_global", inner + "value_global"}, ours + "key_value_global", width, true);
  exchange::add_linear(map, layers, theirs + "output", ours + "out", true);
  return map;
}

PublicLed read_public_led(const std::string& config_json) {
  const PublicConfig config(config_json);
  BartLayout layout = exchange::bart_layout(config, {.prefix = "led.", .bare = "LEDModel", .vocabulary = 50265, .layers = 12, .activation = "gelu"});
  layout.embedding_norm = true;
  auto options = std::make_shared<LedOptions>();
  options->body = layout.encoder;
  options->body.norm = NormPlacement::kPost;
  options->body.max_positions = config.count("max_encoder_position_embeddings", 16384);
  options->decoder = layout.decoder;
  options->decoder.max_positions = config.count("max_decoder_position_embeddings", 1024);
  // The public window counts both sides.
  options->window.clear();
  const std::vector<int64_t> windows = config.integers("attention_window", {512});
  check<CheckpointError>(windows.size() == 1 || windows.size() == static_cast<size_t>(layout.encoder.layers), "[exchange] config.json: attention_window has {} values, the encoder {} layers", windows.size(), layout.encoder.layers);
  for (const int64_t window : windows) {
    check<CheckpointError>(window > 0 && window % 2 == 0, "[exchange] config.json: attention_window = {}: expected an even number above 0", window);
    options->window.push_back(window / 2);
  }
  return {options, names_of(layout), layout.vocabulary, config.count("decoder_start_token_id", 2, 0), config.count("eos_token_id", 2, 0), config.count("pad_token_id", 1, 0)};
}

}  // namespace

exchange::Family led_exchange() {
  exchange::Family family;
  family.name = "led";
  family.model_types = {"led"};
  family.names = [](const std::string& config_json) { return read_public_led(config_json).names; };
  family.to_yaml = [](const std::string& config_json) {
    const PublicLed read = read_public_led(config_json);
    return exchange::model_yaml("led", *read.options, "seq2seq", read.options->body.max_positions);
  };
  return family;
}

std::shared_ptr<const ReferenceLoader> led_reference() {
  return std::make_shared<SequenceReference>("led", [](const std::string& config_json, const ReferenceCase&) {
    PublicLed read = read_public_led(config_json);
    read.options->globals.choice = GlobalChoice::kData;  // the case marks its global tokens
    PublicSequenceModel out;
    out.spec.family = "led";
    out.spec.form = Form::kEncoderDecoder;
    out.spec.vocabulary = read.vocabulary;
    out.spec.options = read.options;
    out.names = std::move(read.names);
    out.start = read.start;
    out.end = read.end;
    out.pad = read.pad;
    return out;
  });
}

}  // namespace longhaul::models
