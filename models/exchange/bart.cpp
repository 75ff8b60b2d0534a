#include "models/exchange/bart.h"

#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "models/exchange/activations.h"

namespace longhaul::models::exchange {

BartLayout bart_layout(const PublicConfig& config, const BartDefaults& defaults, const std::set<std::string>& tensors) {
  BartLayout out;
  if (!tensors.contains("shared.weight")) out.prefix = defaults.prefix;
  out.vocabulary = config.count("vocab_size", defaults.vocabulary);
  BodyOptions& body = out.encoder;
  body.form = Form::kEncoderDecoder;
  body.dim = config.count("d_model", 1024);
  body.layers = config.count("encoder_layers", defaults.layers);
  body.heads = body.kv_heads = config.count("encoder_attention_heads", 16);
  body.feedforward = config.count("encoder_ffn_dim", 4096);
  check<CheckpointError>(body.dim % body.heads == 0, "[exchange] config.json: encoder_attention_heads = {} does not divide d_model = {}", body.heads, body.dim);
  body.head_dim = body.dim / body.heads;
  out.decoder.layers = config.count("decoder_layers", defaults.layers);
  out.decoder.heads = config.count("decoder_attention_heads", 16);
  out.decoder.feedforward = config.count("decoder_ffn_dim", 4096);
  check<CheckpointError>(body.dim % out.decoder.heads == 0, "[exchange] config.json: decoder_attention_heads = {} does not divide d_model = {}", out.decoder.heads, body.dim);
  body.activation = activation_named("activation_function", config.text("activation_function", defaults.activation));
  body.norm_eps = 1e-5;
  body.positions = Positions::kLearned;
  // A model without a head has no output projection of its own.
  body.tied_embeddings = out.prefix.empty() || config.boolean("tie_word_embeddings", true);
  body.decoder_start = config.count("decoder_start_token_id", 2, 0);
  body.dropout = body.embedding_dropout = config.number("dropout", 0.1);
  body.attention_dropout = config.number("attention_dropout", 0);
  body.init_std = config.number("init_std", 0.02);
  body.vocabulary = out.vocabulary;
  for (const char* key : {"activation_dropout", "encoder_layerdrop", "decoder_layerdrop"}) config.warn_unless_zero(key);
  return out;
}

void write_bart_json(nlohmann::ordered_json& to, const BodyOptions& encoder, const DecoderSide& decoder, NormPlacement norm, int64_t vocabulary) {
  const auto need = [](bool holds, const char* key, const char* expected) {
    check<CheckpointError>(holds, "[exchange] model.{}: the public layout knows {} only", key, expected);
  };
  need(encoder.norm == norm, "norm", norm == NormPlacement::kPost ? "post" : "pre");
  need(encoder.norm_kind == NormKind::kLayer, "norm_kind", "layer");
  need(encoder.norm_eps == 1e-5, "norm_eps", "1e-5");
  need(encoder.positions == Positions::kLearned, "positions", "learned");
  need(encoder.bias, "bias", "true");
  need(encoder.kv_heads == encoder.heads, "kv_heads", "as many as heads");
  need(encoder.head_dim * encoder.heads == encoder.dim, "head_dim", "dim / heads");
  to["activation_function"] = activation_name("activation_function", encoder.activation);
  to["attention_dropout"] = encoder.attention_dropout;
  to["d_model"] = encoder.dim;
  to["decoder_attention_heads"] = decoder.heads;
  to["decoder_ffn_dim"] = decoder.feedforward;
  to["decoder_layers"] = decoder.layers;
  if (encoder.decoder_start >= 0) to["decoder_start_token_id"] = encoder.decoder_start;
  to["dropout"] = shared_dropout(encoder);
  to["encoder_attention_heads"] = encoder.heads;
  to["encoder_ffn_dim"] = encoder.feedforward;
  to["encoder_layers"] = encoder.layers;
  to["init_std"] = encoder.init_std;
  to["is_encoder_decoder"] = true;
  to["tie_word_embeddings"] = encoder.tied_embeddings;
  to["vocab_size"] = vocabulary;
}

void add_bart_names(NameMap& map, const BartLayout& layout) {
  const std::string& p = layout.prefix;
  const BodyOptions& body = layout.encoder;
  const bool bias = body.attention_bias;
  map.rules.push_back({p + "shared.weight", "token_embedding.weight"});
  for (const char* alias : {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight"}) map.tied.push_back({p + alias, p + "shared.weight"});
  if (body.tied_embeddings) {
    map.tied.push_back({"lm_head.weight", p + "shared.weight"});
  } else {
    map.rules.push_back({"lm_head.weight", "head.weight"});
  }
  map.rules.push_back({"final_logits_bias", "head.logits_bias"});
  map.zeros["head.logits_bias"] = Shape{1, layout.vocabulary};
  for (const std::string side : {"encoder.", "decoder."}) {
    map.rules.push_back({p + side + "embed_positions.weight", side + "position_embedding.weight"});
    add_linear(map, 1, p + side + "layernorm_embedding", side + (layout.embedding_norm ? "embedding_norm" : "final_norm"), true);
    const int64_t layers = side == "encoder." ? body.layers : layout.decoder.layers;
    const std::string theirs = p + side + "layers.{}.", ours = side + "layers.{}.";
    add_linear(map, layers, theirs + "self_attn_layer_norm", ours + "attention_norm", true);
    add_linear(map, layers, theirs + "final_layer_norm", ours + "feed_forward_norm", true);
    add_linear(map, layers, theirs + "fc1", ours + "feed_forward.in", true);
    add_linear(map, layers, theirs + "fc2", ours + "feed_forward.out", true);
  }
  const std::string theirs = p + "decoder.layers.{}.", ours = "decoder.layers.{}.";
  const int64_t layers = layout.decoder.layers;
  const std::string self = theirs + "self_attn.", cross = theirs + "encoder_attn.";
  add_projections(map, layers, {self + "q_proj", self + "k_proj", self + "v_proj"}, ours + "attention.qkv", body.dim, bias);
  add_linear(map, layers, self + "out_proj", ours + "attention.out", bias);
  add_linear(map, layers, cross + "q_proj", ours + "cross.query", bias);
  add_projections(map, layers, {cross + "k_proj", cross + "v_proj"}, ours + "cross.key_value", body.dim, bias);
  add_linear(map, layers, cross + "out_proj", ours + "cross.out", bias);
  add_linear(map, layers, theirs + "encoder_attn_layer_norm", ours + "cross_norm", true);
}

}  // namespace longhaul::models::exchange
