#include "models/longformer/exchange.h"

#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/base/log.h"
#include "models/exchange/bert.h"
#include "models/exchange/model_yaml.h"
#include "models/longformer/options.h"

namespace longhaul::models {
namespace {

using exchange::BertHead;

const exchange::BertDefaults kDefaults = {.prefix = "longformer.",
                                          .vocabulary = 30522,
                                          .max_positions = 512,
                                          .activation = "gelu",
                                          .norm_eps = 1e-12,
                                          .padding_token = 1,
                                          .token_head = "lm_head.dense.weight",
                                          .class_head = "classifier.out_proj.weight",
                                          .span_head = "qa_outputs.weight"};

/// Everything config.json and the names of the tensors say.
struct Reading {
  exchange::BertLayout bert;
  std::shared_ptr<LongformerOptions> options;
  exchange::NameMap names;

  ModelSpec spec() const {
    ModelSpec out = bert.spec();
    out.family = "longformer";
    out.options = options;
    return out;
  }
};

exchange::NameMap names_of(const exchange::BertLayout& bert, const std::set<std::string>& tensors) {
  exchange::NameMap map;
  exchange::add_bert_names(map, bert);
  const std::string self = bert.prefix + "encoder.layer.{}.attention.self.", ours = "layers.{}.attention.";
  const int64_t layers = bert.body.layers, width = bert.body.dim;
  exchange::add_projections(map, layers, {self + "query", self + "key", self + "value"}, ours + "qkv", width, true);
  exchange::add_linear(map, layers, self + "query_global", ours + "query_global", true);
  exchange::add_projections(map, layers, {self + "key_global", self + "value_global"}, ours + "key_value_global", width, true);
  for (const char* part : {"pooler.dense.weight", "pooler.dense.bias"}) map.buffers.push_back(bert.prefix + part);
  const std::string head = "lm_head.";
  exchange::add_head_names(map, bert, {head + "dense", head + "layer_norm", head + "bias", head + "decoder"}, tensors);
  if (bert.head == BertHead::kSpans) exchange::add_linear(map, 1, "qa_outputs", "head.out", true);
  return map;
}

Reading read(const std::string& config_json, const std::set<std::string>& tensors) {
  const exchange::PublicConfig config(config_json);
  Reading out{exchange::bert_layout(config, kDefaults, tensors), std::make_shared<LongformerOptions>(), {}};
  // Positions are numbered from the id of padding on, so the table has that many rows, and one, before the first token's.
  out.bert.layout.position_offset = out.bert.layout.padding_token + 1;
  out.bert.body.max_positions = out.bert.position_rows - out.bert.layout.position_offset;
  check<CheckpointError>(out.bert.body.max_positions > 0, "[exchange] config.json: max_position_embeddings = {} leaves no position: the first {} rows are padding's", out.bert.position_rows, out.bert.layout.position_offset);
  LongformerOptions& o = *out.options;
  o.body = out.bert.body;
  o.layout = out.bert.layout;
  o.window = public_windows(config, o.body.layers);
  // transformers makes the first token global for classes; masked tokens and spans have what the caller marks.
  o.global_tokens = out.bert.head == BertHead::kClasses ? GlobalChoice::kFirst : GlobalChoice::kData;
  out.names = names_of(out.bert, tensors);
  return out;
}

std::string to_json(const ModelSpec& spec) {
  const auto& o = dynamic_cast<const LongformerOptions&>(*spec.options);
  check<CheckpointError>(o.body.form == Form::kEncoder && !o.window_of(0, false).dilated() && o.global_tokens != GlobalChoice::kNone,
                         "[exchange] the public Longformer is two-sided, without dilation and with projections for global tokens (model.global_tokens other than none)");
  check<CheckpointError>(o.layout.position_offset == o.layout.padding_token + 1 && !o.layout.norm_after_dropout && !o.layout.scale_embeddings,
                         "[exchange] the public Longformer has model.position_offset = padding_token + 1, norm_after_dropout = false and scale_embeddings = false");
  const bool classes = spec.head.kind == HeadKind::kClasses, spans = spec.head.kind == HeadKind::kSpans;
  check<CheckpointError>(!spans || !o.layout.head_transform, "[exchange] the public Longformer for question answering has model.head_transform = false, a single projection");
  nlohmann::ordered_json more = {{"model_type", "longformer"}, {"pad_token_id", o.layout.padding_token}};
  if (o.layout.padding_token < 0) {
    log::warn("[exchange] model.padding_token is not set: the public Longformer cannot fill rows up with padding, so it reads lengths that are "
              "multiples of attention_window only; train with padding_token and position_offset = padding_token + 1 to lift that");
  }
  for (int layer = 0; layer < o.body.layers; ++layer) more["attention_window"].push_back(2 * o.window_of(layer, false).left);
  return exchange::bert_json(o.body, o.layout, spec, classes ? "LongformerForSequenceClassification" : spans ? "LongformerForQuestionAnswering" : "LongformerForMaskedLM", more);
}

}  // namespace

std::vector<int64_t> public_windows(const exchange::PublicConfig& config, int layers) {
  const std::vector<int64_t> both = config.integers("attention_window", {512});
  check<CheckpointError>(both.size() == 1 || both.size() == static_cast<size_t>(layers), "[exchange] config.json: attention_window has {} values for {} layers", both.size(), layers);
  std::vector<int64_t> out;
  for (const int64_t window : both) {
    check<CheckpointError>(window > 0 && window % 2 == 0, "[exchange] config.json: attention_window = {}: expected an even number above 0, half of it on each side", window);
    out.push_back(window / 2);
  }
  return out;
}

exchange::Family longformer_exchange() {
  exchange::Family family;
  family.name = "longformer";
  family.model_types = {"longformer"};
  family.read = [](const std::string& config, const std::set<std::string>& tensors) {
    const Reading reading = read(config, tensors);
    return exchange::FamilyReading{reading.names, exchange::model_yaml("longformer", *reading.options, reading.bert.data(reading.options->body.max_positions)),
                                   exchange::LongerPositions{"position_embedding.weight", "max_position_embeddings", reading.bert.layout.position_offset}, reading.spec()};
  };
  family.to_json = to_json;
  return family;
}

PublicEncoder open_longformer(const std::string& config_json, const ReferenceCase& reference) {
  const Reading reading = read(config_json, exchange::tensor_names(io::Path(reference.folder)));
  PublicEncoder out{reading.spec(), reading.names};
  return out;
}

}  // namespace longhaul::models
