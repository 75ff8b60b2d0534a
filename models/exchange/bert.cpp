#include "models/exchange/bert.h"

#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "models/exchange/activations.h"

namespace longhaul::models::exchange {
namespace {

BertHead head_of(const PublicConfig& config, const BertDefaults& defaults, const std::set<std::string>& tensors) {
  if (!tensors.empty()) {
    if (tensors.contains(defaults.token_head)) return BertHead::kTokens;
    if (tensors.contains(defaults.class_head)) return BertHead::kClasses;
    return tensors.contains(defaults.span_head) ? BertHead::kSpans : BertHead::kNone;
  }
  const std::string architecture = config.first_text("architectures");
  if (architecture.ends_with("ForSequenceClassification")) return BertHead::kClasses;
  if (architecture.ends_with("ForQuestionAnswering")) return BertHead::kSpans;
  return architecture.ends_with("Model") ? BertHead::kNone : BertHead::kTokens;
}

/// data.objective of a model with this head.
std::string objective_of(BertHead head) {
  switch (head) {
    case BertHead::kClasses: return "classify";
    case BertHead::kSpans: return "question_answering";
    case BertHead::kNone:
    case BertHead::kTokens: break;
  }
  return "masked";
}

}  // namespace

ImportedData BertLayout::data(int64_t length) const { return {.objective = objective_of(head), .sequence_length = length, .labels = labels}; }

ModelSpec BertLayout::spec() const {
  ModelSpec out;
  out.form = Form::kEncoder;
  out.vocabulary = vocabulary;
  if (head == BertHead::kClasses) out.head = {HeadKind::kClasses, static_cast<int64_t>(labels.size()), labels};
  if (head == BertHead::kSpans) out.head.kind = HeadKind::kSpans;
  return out;
}

BertLayout bert_layout(const PublicConfig& config, const BertDefaults& defaults, const std::set<std::string>& tensors) {
  BertLayout out;
  out.head = head_of(config, defaults, tensors);
  const bool prefixed = tensors.empty() ? out.head != BertHead::kNone : tensors.contains(defaults.prefix + "embeddings.word_embeddings.weight");
  if (prefixed) out.prefix = defaults.prefix;
  out.vocabulary = config.count("vocab_size", defaults.vocabulary);
  out.position_rows = config.count("max_position_embeddings", defaults.max_positions);
  if (out.head == BertHead::kClasses) out.labels = config.labels();
  BodyOptions& body = out.body;
  body.form = Form::kEncoder;
  body.dim = config.count("hidden_size", 768);
  body.layers = config.count("num_hidden_layers", 12);
  body.heads = body.kv_heads = config.count("num_attention_heads", 12);
  check<CheckpointError>(body.dim % body.heads == 0, "[exchange] config.json: num_attention_heads = {} does not divide hidden_size = {}", body.heads, body.dim);
  body.head_dim = body.dim / body.heads;
  body.feedforward = config.count("intermediate_size", 3072);
  body.activation = activation_named("hidden_act", config.text("hidden_act", defaults.activation));
  body.norm = NormPlacement::kPost;
  body.norm_eps = config.number("layer_norm_eps", defaults.norm_eps);
  body.positions = Positions::kLearned;
  body.max_positions = out.position_rows;
  body.tied_embeddings = out.head != BertHead::kTokens || config.boolean("tie_word_embeddings", true);
  body.dropout = body.embedding_dropout = config.number("hidden_dropout_prob", 0.1);
  body.attention_dropout = config.number("attention_probs_dropout_prob", 0.1);
  body.init_std = config.number("initializer_range", 0.02);
  body.vocabulary = out.vocabulary;
  out.layout.token_types = config.count("type_vocab_size", 2);
  out.layout.padding_token = config.integer("pad_token_id", defaults.padding_token);
  out.layout.embedding_norm = true;
  out.layout.head_transform = out.head == BertHead::kTokens || (out.head == BertHead::kSpans && defaults.span_layer);
  return out;
}

void add_bert_names(NameMap& map, const BertLayout& layout) {
  const std::string embeddings = layout.prefix + "embeddings.", theirs = layout.prefix + "encoder.layer.{}.", ours = "layers.{}.";
  const int64_t layers = layout.body.layers;
  map.rules.push_back({embeddings + "word_embeddings.weight", "token_embedding.weight"});
  map.rules.push_back({embeddings + "position_embeddings.weight", "position_embedding.weight"});
  map.rules.push_back({embeddings + "token_type_embeddings.weight", "token_type_embedding.weight"});
  add_linear(map, 1, embeddings + "LayerNorm", "embedding_norm", true);
  map.buffers.push_back(embeddings + "position_ids");
  add_linear(map, layers, theirs + "attention.output.dense", ours + "attention.out", true);
  add_linear(map, layers, theirs + "attention.output.LayerNorm", ours + "attention_norm", true);
  add_linear(map, layers, theirs + "intermediate.dense", ours + "feed_forward.in", true);
  add_linear(map, layers, theirs + "output.dense", ours + "feed_forward.out", true);
  add_linear(map, layers, theirs + "output.LayerNorm", ours + "feed_forward_norm", true);
}

namespace {

/// The bias of a token head's projection, which checkpoints store under one name, the other or both, or leave out where it is 0.
void add_decoder_bias(NameMap& map, const std::string& name, const std::string& alias, int64_t vocabulary, const std::set<std::string>& tensors) {
  const bool alone = tensors.contains(alias) && !tensors.contains(name);
  map.rules.push_back({alone ? alias : name, "head.bias"});
  if (!alone) map.tied.push_back({alias, name});
  map.zeros["head.bias"] = Shape{vocabulary};
}

}  // namespace

void add_head_names(NameMap& map, const BertLayout& layout, const TokenHeadNames& names, const std::set<std::string>& tensors) {
  if (layout.head == BertHead::kClasses) {
    add_linear(map, 1, "classifier.dense", "head.dense", true);
    add_linear(map, 1, "classifier.out_proj", "head.out", true);
  }
  if (layout.head != BertHead::kTokens) return;
  add_linear(map, 1, names.dense, "head.dense", true);
  add_linear(map, 1, names.norm, "head.norm", true);
  add_decoder_bias(map, names.bias, names.decoder + ".bias", layout.vocabulary, tensors);
  if (layout.body.tied_embeddings) {
    map.tied.push_back({names.decoder + ".weight", layout.prefix + "embeddings.word_embeddings.weight"});
  } else {
    map.rules.push_back({names.decoder + ".weight", "head.weight"});
  }
}

std::string bert_json(const BodyOptions& body, const EncoderLayout& layout, const ModelSpec& spec, const std::string& architecture, const nlohmann::ordered_json& more) {
  const auto need = [](bool holds, const char* key, const char* expected) {
    check<CheckpointError>(holds, "[exchange] model.{}: the public layout knows {} only", key, expected);
  };
  need(body.norm == NormPlacement::kPost, "norm", "post");
  need(body.norm_kind == NormKind::kLayer, "norm_kind", "layer");
  need(body.positions == Positions::kLearned, "positions", "learned");
  need(body.bias, "bias", "true");
  need(body.kv_heads == body.heads, "kv_heads", "as many as heads");
  need(body.head_dim * body.heads == body.dim, "head_dim", "dim / heads");
  need(layout.embedding_norm, "embedding_norm", "true");
  need(layout.token_types > 0, "token_types", "1 or more");
  nlohmann::ordered_json to;
  to["architectures"] = {architecture};
  to["attention_probs_dropout_prob"] = body.attention_dropout;
  to["hidden_act"] = activation_name("hidden_act", body.activation);
  to["hidden_dropout_prob"] = shared_dropout(body);
  to["hidden_size"] = body.dim;
  write_labels(to, spec.head);
  to["initializer_range"] = body.init_std;
  to["intermediate_size"] = body.feedforward;
  to["layer_norm_eps"] = body.norm_eps;
  to["max_position_embeddings"] = body.max_positions + layout.position_offset;
  to["num_attention_heads"] = body.heads;
  to["num_hidden_layers"] = body.layers;
  if (layout.padding_token >= 0) to["pad_token_id"] = layout.padding_token;
  to["tie_word_embeddings"] = body.tied_embeddings;
  to["type_vocab_size"] = layout.token_types;
  to["vocab_size"] = spec.vocabulary;
  to.update(more);
  return to.dump(2) + "\n";
}

}  // namespace longhaul::models::exchange
