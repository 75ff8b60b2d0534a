#include "models/reformer/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "framework/base/error.h"
#include "framework/nn/positions.h"
#include "models/exchange/activations.h"
#include "models/exchange/model_yaml.h"
#include "models/exchange/public_config.h"

namespace longhaul::models {
namespace {

using Json = nlohmann::ordered_json;

/// Keys that older configurations spell otherwise.
int64_t count_of(const exchange::PublicConfig& config, const char* key, const char* old, int otherwise, int least) {
  return config.count(key, config.count(old, otherwise, least), least);
}

void read_positions(const exchange::PublicConfig& config, BodyOptions& body) {
  body.max_positions = config.count("max_position_embeddings", 4096);
  body.positions = config.boolean("axial_pos_embds", true) ? Positions::kAxial : Positions::kLearned;
  body.init_std = config.number("initializer_range", 0.02);
  body.position_std = body.init_std;
  if (body.positions == Positions::kLearned) return;
  body.axial_shape = config.integers("axial_pos_shape", {64, 64});
  body.axial_widths = config.integers("axial_pos_embds_dim", {64, 192});
  body.position_std = config.number("axial_norm_std", 1.0);
  // The grid is the table: the published models have max_position_embeddings = its points.
  body.max_positions = std::accumulate(body.axial_shape.begin(), body.axial_shape.end(), int64_t{1}, std::multiplies<>());
}

void read_attention(const exchange::PublicConfig& config, ReformerOptions& o) {
  o.attention_layers = config.texts("attn_layers", {"local", "lsh", "local", "lsh", "local", "lsh"});
  for (const std::string& layer : o.attention_layers)
    check<CheckpointError>(layer == "lsh" || layer == "local", "[exchange] config.json: attn_layers has \"{}\": expected lsh or local", layer);
  check<CheckpointError>(!o.attention_layers.empty(), "[exchange] config.json: attn_layers is empty");
  o.body.layers = static_cast<int>(o.attention_layers.size());
  o.lsh_chunk = config.count("lsh_attn_chunk_length", 64);
  o.lsh_before = count_of(config, "lsh_num_chunks_before", "num_chunks_before", 1, 0);
  o.lsh_after = count_of(config, "lsh_num_chunks_after", "num_chunks_after", 0, 0);
  o.local_chunk = config.count("local_attn_chunk_length", 64);
  o.local_before = count_of(config, "local_num_chunks_before", "num_chunks_before", 1, 0);
  o.local_after = count_of(config, "local_num_chunks_after", "num_chunks_after", 0, 0);
  o.local_ring = !config.boolean("is_decoder", false);
  o.rounds = o.eval_rounds = config.count("num_hashes", 1);
  o.buckets = config.integers("num_buckets", {});
  const double dropout = config.number("attention_probs_dropout_prob", -1);
  o.body.attention_dropout = config.number("local_attention_probs_dropout_prob", dropout >= 0 ? dropout : 0.05);
  o.lsh_attention_dropout = config.number("lsh_attention_probs_dropout_prob", dropout >= 0 ? dropout : 0.0);
}

void read_body(const exchange::PublicConfig& config, BodyOptions& body) {
  body.form = config.boolean("is_decoder", false) ? Form::kDecoder : Form::kEncoder;
  body.dim = config.count("hidden_size", 256);
  body.heads = body.kv_heads = config.count("num_attention_heads", 12);
  body.head_dim = config.count("attention_head_size", 64);
  body.feedforward = config.count("feed_forward_size", 512);
  body.activation = exchange::activation_named("hidden_act", config.text("hidden_act", "relu"));
  body.norm_eps = config.number("layer_norm_eps", 1e-12);
  body.dropout = body.embedding_dropout = config.number("hidden_dropout_prob", 0.05);
  body.vocabulary = config.count("vocab_size", 320);
}

void read_head(const exchange::PublicConfig& config, const std::set<std::string>& tensors, PublicReformer& out) {
  const std::string architecture = config.first_text("architectures");
  const bool classes = tensors.empty() ? architecture.ends_with("ForSequenceClassification") : tensors.contains("classifier.out_proj.weight");
  const bool spans = tensors.empty() ? architecture.ends_with("ForQuestionAnswering") : tensors.contains("qa_outputs.weight");
  out.objective = out.options->causal() ? "causal" : "masked";
  if (classes) {
    const std::vector<std::string> labels = config.labels();
    out.spec.head = {HeadKind::kClasses, static_cast<int64_t>(labels.size()), labels};
    out.objective = "classify";
  } else if (spans) {
    out.spec.head.kind = HeadKind::kSpans;
    out.objective = "question_answering";
  }
  check<CheckpointError>(!(out.options->causal() && (classes || spans)), "[exchange] config.json: is_decoder = true with a head for {}: such models are encoders here", classes ? "classes" : "spans");
}

void add_layer_names(exchange::NameMap& map, const ReformerOptions& o, const std::string& prefix) {
  const auto kinds = reformer_layers(o);
  for (int layer = 0; layer < o.body.layers; ++layer) {
    const std::string theirs = fmt::format("{}encoder.layers.{}.", prefix, layer), ours = fmt::format("layers.{}.", layer), self = theirs + "attention.self_attention.";
    exchange::add_linear(map, 1, theirs + "attention.layer_norm", ours + "attention_norm", true);
    if (kinds[static_cast<size_t>(layer)] == ReformerLayer::kLsh) {
      exchange::add_linear(map, 1, self + "query_key", ours + "attention.query_key", false);
      exchange::add_linear(map, 1, self + "value", ours + "attention.value", false);
    } else {
      exchange::add_projections(map, 1, {self + "query", self + "key", self + "value"}, ours + "attention.qkv", o.body.heads * o.body.head_dim, false);
    }
    exchange::add_linear(map, 1, theirs + "attention.output.dense", ours + "attention.out", false);
    exchange::add_linear(map, 1, theirs + "feed_forward.layer_norm", ours + "feed_forward_norm", true);
    exchange::add_linear(map, 1, theirs + "feed_forward.dense.dense", ours + "feed_forward.in", true);
    exchange::add_linear(map, 1, theirs + "feed_forward.output.dense", ours + "feed_forward.out", true);
    for (const char* constant : {"self_mask_value_float16", "self_mask_value_float32", "mask_value_float16", "mask_value_float32"}) map.buffers.push_back(self + constant);
  }
}

void add_names(const std::set<std::string>& tensors, PublicReformer& out) {
  const BodyOptions& body = out.options->body;
  exchange::NameMap& map = out.names;
  const bool prefixed = tensors.empty() || tensors.contains("reformer.embeddings.word_embeddings.weight");
  const std::string prefix = prefixed ? "reformer." : "", embeddings = prefix + "embeddings.";
  map.rules.push_back({embeddings + "word_embeddings.weight", "token_embedding.weight"});
  if (body.positions == Positions::kAxial) {
    for (size_t a = 0; a < body.axial_shape.size(); ++a) {
      exchange::NameRule rule{embeddings + fmt::format("position_embeddings.weights.{}", a), fmt::format("position_embedding.axis.{}", a)};
      std::vector<int64_t> shape(body.axial_shape.size() + 1, 1);
      shape[a] = body.axial_shape[a];
      shape.back() = body.axial_widths.at(a);
      rule.public_shape = Shape(std::span<const int64_t>(shape));
      rule.our_shape = Shape{body.axial_shape[a], body.axial_widths.at(a)};
      map.rules.push_back(rule);
    }
  } else {
    map.rules.push_back({embeddings + "position_embeddings.embedding.weight", "position_embedding.weight"});
  }
  add_layer_names(map, *out.options, prefix);
  exchange::add_linear(map, 1, prefix + "encoder.layer_norm", "final_norm", true);
  switch (out.spec.head.kind) {
    case HeadKind::kTokens: {
      map.rules.push_back({"lm_head.decoder.weight", "head.weight"});
      const bool alone = tensors.contains("lm_head.decoder.bias") && !tensors.contains("lm_head.bias");
      map.rules.push_back({alone ? "lm_head.decoder.bias" : "lm_head.bias", "head.bias"});
      if (!alone) map.tied.push_back({"lm_head.decoder.bias", "lm_head.bias"});
      break;
    }
    case HeadKind::kClasses:
      exchange::add_linear(map, 1, "classifier.dense", "head.dense", true);
      exchange::add_linear(map, 1, "classifier.out_proj", "head.out", true);
      break;
    case HeadKind::kSpans: exchange::add_linear(map, 1, "qa_outputs", "head.out", true); break;
  }
}

std::string to_json(const ModelSpec& spec) {
  const auto& o = dynamic_cast<const ReformerOptions&>(*spec.options);
  const BodyOptions& body = o.body;
  const auto need = [](bool holds, const char* key, const char* expected) {
    check<CheckpointError>(holds, "[exchange] {}: the public Reformer knows {} only", key, expected);
  };
  need(body.form != Form::kEncoderDecoder, "model.form", "decoder and encoder");
  need(spec.memory.reversible, "memory.reversible", "true");
  need(body.norm_kind == NormKind::kLayer && body.norm == NormPlacement::kPre, "model.norm", "pre with norm_kind = layer");
  need(body.bias && !body.attention_bias, "model.bias", "true, with attention_bias = false");
  need(body.positions == Positions::kAxial || body.positions == Positions::kLearned, "model.positions", "axial and learned");
  need(std::ranges::find(o.attention_layers, "full") == o.attention_layers.end(), "model.attention_layers", "lsh and local");
  need(o.causal() || o.local_ring, "model.local_ring", "true, in an encoder,");
  need(o.eval_rounds == o.rounds, "model.eval_rounds", "as many as model.rounds");
  need(!o.count_once, "model.count_once", "false");
  need(o.buckets.size() <= 2, "model.buckets", "one or two factors");
  Json to;
  std::vector<std::string> layers;
  for (int layer = 0; layer < body.layers; ++layer) layers.push_back(o.attention_layers[static_cast<size_t>(layer) % o.attention_layers.size()]);
  const char* heads[] = {o.causal() ? "ReformerModelWithLMHead" : "ReformerForMaskedLM", "ReformerForSequenceClassification", "ReformerForQuestionAnswering"};
  to["architectures"] = {heads[static_cast<int>(spec.head.kind)]};
  to["attention_head_size"] = body.head_dim;
  to["attn_layers"] = layers;
  to["axial_pos_embds"] = body.positions == Positions::kAxial;
  if (body.positions == Positions::kAxial) {
    to["axial_norm_std"] = body.position_std;
    to["axial_pos_embds_dim"] = body.axial_widths.empty() ? nn::axial_widths(body.dim, body.axial_shape.size()) : body.axial_widths;
    to["axial_pos_shape"] = body.axial_shape;
  }
  to["feed_forward_size"] = body.feedforward;
  to["hidden_act"] = exchange::activation_name("hidden_act", body.activation);
  to["hidden_dropout_prob"] = exchange::shared_dropout(body);
  to["hidden_size"] = body.dim;
  exchange::write_labels(to, spec.head);
  to["initializer_range"] = body.init_std;
  to["is_decoder"] = o.causal();
  to["layer_norm_eps"] = body.norm_eps;
  to["local_attention_probs_dropout_prob"] = body.attention_dropout;
  to["local_attn_chunk_length"] = o.local_chunk;
  to["local_num_chunks_after"] = o.local_after;
  to["local_num_chunks_before"] = o.local_before;
  to["lsh_attention_probs_dropout_prob"] = o.lsh_attention_dropout;
  to["lsh_attn_chunk_length"] = o.lsh_chunk;
  to["lsh_num_chunks_after"] = o.lsh_after;
  to["lsh_num_chunks_before"] = o.lsh_before;
  to["max_position_embeddings"] = body.max_positions;
  to["model_type"] = "reformer";
  to["num_attention_heads"] = body.heads;
  to["num_buckets"] = o.buckets.empty() ? Json(nullptr) : o.buckets.size() == 1 ? Json(o.buckets.front()) : Json(o.buckets);
  to["num_hashes"] = o.rounds;
  to["num_hidden_layers"] = body.layers;
  to["tie_word_embeddings"] = false;
  to["vocab_size"] = spec.vocabulary;
  return to.dump(2) + "\n";
}

}  // namespace

PublicReformer read_reformer(const std::string& config_json, const std::set<std::string>& tensors) {
  const exchange::PublicConfig config(config_json);
  check<CheckpointError>(!config.boolean("tie_word_embeddings", false), "[exchange] config.json: tie_word_embeddings = true: the head reads two streams and cannot be the token table");
  PublicReformer out;
  out.options = std::make_shared<ReformerOptions>();
  read_body(config, out.options->body);
  read_positions(config, out.options->body);
  read_attention(config, *out.options);
  out.spec.family = "reformer";
  out.spec.options = out.options;
  out.spec.form = out.options->body.form;
  out.spec.vocabulary = out.options->body.vocabulary;
  out.spec.memory.reversible = true;
  out.options->body.join = StreamJoin::kConcatenation;
  read_head(config, tensors, out);
  add_names(tensors, out);
  return out;
}

exchange::Family reformer_exchange() {
  exchange::Family family;
  family.name = "reformer";
  family.model_types = {"reformer"};
  family.read = [](const std::string& config, const std::set<std::string>& tensors) {
    const PublicReformer reading = read_reformer(config, tensors);
    std::optional<exchange::LongerPositions> positions;
    if (reading.options->body.positions == Positions::kLearned) positions = {"position_embedding.weight", "max_position_embeddings", 0};
    return exchange::FamilyReading{reading.names, exchange::model_yaml("reformer", *reading.options, {.objective = reading.objective, .sequence_length = reading.options->body.max_positions, .labels = reading.spec.head.labels}), positions, reading.spec};
  };
  family.to_json = to_json;
  return family;
}

}  // namespace longhaul::models
