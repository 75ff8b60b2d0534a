#include "models/bigbird/exchange.h"

#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/base/log.h"
#include "models/bigbird/options.h"
#include "models/bigbird/random_blocks.h"
#include "models/exchange/bert.h"
#include "models/exchange/model_yaml.h"
#include "models/exchange/reference.h"

namespace longhaul::models {
namespace {

using exchange::BertHead;

const exchange::BertDefaults kDefaults = {.prefix = "bert.",
                                          .vocabulary = 50358,
                                          .max_positions = 4096,
                                          .activation = "gelu_new",
                                          .norm_eps = 1e-12,
                                          .padding_token = 0,
                                          .token_head = "cls.predictions.transform.dense.weight",
                                          .class_head = "classifier.out_proj.weight",
                                          .span_head = "qa_classifier.qa_outputs.weight",
                                          .span_layer = true};

/// Everything config.json and the names of the tensors say.
struct Reading {
  exchange::BertLayout bert;
  std::shared_ptr<BigBirdOptions> options;
  exchange::NameMap names;

  ModelSpec spec() const {
    ModelSpec out = bert.spec();
    out.family = "bigbird";
    out.options = options;
    return out;
  }
};

exchange::NameMap names_of(const exchange::BertLayout& bert, const std::set<std::string>& tensors) {
  exchange::NameMap map;
  exchange::add_bert_names(map, bert);
  const std::string self = bert.prefix + "encoder.layer.{}.attention.self.";
  exchange::add_projections(map, bert.body.layers, {self + "query", self + "key", self + "value"}, "layers.{}.attention.qkv", bert.body.dim, bert.body.attention_bias);
  // The pooler serves the prediction of next sentences alone.
  for (const std::string& name : {bert.prefix + "pooler.", std::string("cls.seq_relationship.")}) {
    for (const char* part : {"weight", "bias"}) map.buffers.push_back(name + part);
  }
  const std::string head = "cls.predictions.";
  exchange::add_head_names(map, bert, {head + "transform.dense", head + "transform.LayerNorm", head + "bias", head + "decoder"}, tensors);
  if (bert.head == BertHead::kSpans) {
    exchange::add_linear(map, 1, "qa_classifier.intermediate.dense", "head.feed_forward.in", true);
    exchange::add_linear(map, 1, "qa_classifier.output.dense", "head.feed_forward.out", true);
    exchange::add_linear(map, 1, "qa_classifier.output.LayerNorm", "head.norm", true);
    exchange::add_linear(map, 1, "qa_classifier.qa_outputs", "head.out", true);
  }
  return map;
}

Reading read(const std::string& config_json, const std::set<std::string>& tensors) {
  const exchange::PublicConfig config(config_json);
  check<CheckpointError>(!config.boolean("is_decoder", false) && !config.boolean("add_cross_attention", false),
                         "[exchange] config.json: is_decoder and add_cross_attention: BigBird as a decoder is not supported, its blocks are two-sided");
  Reading out{exchange::bert_layout(config, kDefaults, tensors), std::make_shared<BigBirdOptions>(), {}};
  out.bert.body.attention_bias = config.boolean("use_bias", true);
  out.bert.layout.norm_after_dropout = true;
  out.bert.layout.scale_embeddings = config.boolean("rescale_embeddings", false);
  BigBirdOptions& o = *out.options;
  o.body = out.bert.body;
  o.layout = out.bert.layout;
  o.blocks = read_public_blocks(config);
  out.names = names_of(out.bert, tensors);
  return out;
}

std::string to_json(const ModelSpec& spec) {
  const auto& o = dynamic_cast<const BigBirdOptions&>(*spec.options);
  nlohmann::ordered_json more = {{"model_type", "big_bird"}, {"rescale_embeddings", o.layout.scale_embeddings}, {"use_bias", o.body.attention_bias}};
  write_public_blocks(more, o.blocks, "BigBird");
  const bool classes = spec.head.kind == HeadKind::kClasses, spans = spec.head.kind == HeadKind::kSpans;
  check<CheckpointError>(!spans || o.layout.head_transform, "[exchange] the public BigBird for question answering has model.head_transform = true, a feed-forward layer before its head");
  check<CheckpointError>(o.layout.position_offset == 0 && o.layout.norm_after_dropout, "[exchange] the public BigBird has model.position_offset = 0 and norm_after_dropout = true");
  return exchange::bert_json(o.body, o.layout, spec, classes ? "BigBirdForSequenceClassification" : spans ? "BigBirdForQuestionAnswering" : "BigBirdForMaskedLM", more);
}

}  // namespace

BlockOptions read_public_blocks(const exchange::PublicConfig& config) {
  BlockOptions out;
  out.block = config.count("block_size", 64);
  out.random_blocks = config.count("num_random_blocks", 3, 0);
  out.random = RandomRule::kPublicTraining;
  const std::string type = config.text("attention_type", "block_sparse");
  check<CheckpointError>(type == "block_sparse" || type == "original_full", "[exchange] config.json: attention_type = \"{}\": expected block_sparse or original_full", type);
  out.sparse = type == "block_sparse";
  return out;
}

void write_public_blocks(nlohmann::ordered_json& to, const BlockOptions& blocks, const char* model) {
  check<CheckpointError>(blocks.extra_globals == 0 && blocks.short_full, "[exchange] the public {} has model.extra_globals = 0 and short_full = true", model);
  check<CheckpointError>(blocks.random != RandomRule::kCounter || blocks.random_blocks == 0 || !blocks.sparse,
                         "[exchange] the public {} draws its own random blocks; a model trained with model.random = counter would see others there", model);
  if (blocks.random == RandomRule::kPublic && blocks.random_blocks > 0 && blocks.sparse) {
    log::warn("[exchange] model.random = public: the public {} evaluates with block 0 in every random slot, so its logits differ from this model's; public_training gives them", model);
  }
  to["attention_type"] = blocks.sparse ? "block_sparse" : "original_full";
  to["block_size"] = blocks.block;
  to["num_random_blocks"] = blocks.random_blocks;
}

exchange::Family bigbird_exchange() {
  exchange::Family family;
  family.name = "bigbird";
  family.model_types = {"big_bird"};
  family.read = [](const std::string& config, const std::set<std::string>& tensors) {
    const Reading reading = read(config, tensors);
    return exchange::FamilyReading{reading.names, exchange::model_yaml("bigbird", *reading.options, reading.bert.data(reading.options->body.max_positions)),
                                   exchange::LongerPositions{"position_embedding.weight", "max_position_embeddings", 0, "the public code draws its random blocks for the whole table, so all heads but the first see others than before"}, reading.spec()};
  };
  family.to_json = to_json;
  return family;
}

std::map<std::string, Tensor> drawn_blocks(const BlockOptions& blocks, const BodyOptions& body, const ReferenceCase& reference) {
  std::map<std::string, Tensor> out;
  const int64_t length = reference.tensors.at("input_ids").size(1);
  if (!blocks.sparse || length <= blocks.full_below()) return out;
  const RandomBlockShape shape{.length = length, .block = blocks.block, .slots = blocks.random_blocks, .heads = body.heads};
  for (int layer = 0; layer < body.layers; ++layer) {
    const RandomBlocks drawn = in_training(reference) ? public_random_blocks(shape, body.max_positions, layer) : first_block_lists(shape);
    std::vector<int32_t> all;
    for (int64_t head = 0; head < shape.heads; ++head) all.insert(all.end(), drawn.at(head, 0), drawn.at(head, 0) + drawn.rows * drawn.slots);
    out["aux.rand_attn." + std::to_string(layer)] = Tensor::of<int32_t>({shape.heads, drawn.rows, drawn.slots}, all);
  }
  return out;
}

PublicEncoder open_bigbird(const std::string& config_json, const ReferenceCase& reference) {
  const Reading reading = read(config_json, exchange::tensor_names(io::Path(reference.folder)));
  PublicEncoder out{reading.spec(), reading.names};
  if (reading.bert.head == BertHead::kSpans) out.question_end = static_cast<int32_t>(exchange::PublicConfig(config_json).integer("sep_token_id", 66));
  out.aux = drawn_blocks(reading.options->blocks, reading.options->body, reference);
  return out;
}

}  // namespace longhaul::models
