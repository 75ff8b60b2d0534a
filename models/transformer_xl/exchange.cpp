#include "models/transformer_xl/exchange.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "models/exchange/model_yaml.h"
#include "models/exchange/public_config.h"

namespace longhaul::models {
namespace {

using exchange::NameMap;
using exchange::PublicConfig;

/// Which output projections are those of the input: a list of flags, or proj_share_all_but_first.
TiedProjections tied_projections(const std::string& text, const PublicConfig& config, size_t clusters) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const auto found = json.find("tie_projs");
  if (found == json.end() || !found->is_array() || found->empty())
    return config.boolean("proj_share_all_but_first", true) ? TiedProjections::kAllButFirst : TiedProjections::kNone;
  const auto flags = [&](bool first, bool others) {
    for (size_t i = 0; i < found->size(); ++i) {
      if (!(*found)[i].is_boolean() || (*found)[i].get<bool>() != (i == 0 ? first : others)) return false;
    }
    return found->size() == clusters;
  };
  if (flags(false, true)) return TiedProjections::kAllButFirst;
  if (flags(false, false)) return TiedProjections::kNone;
  if (flags(true, true)) return TiedProjections::kAll;
  fail<CheckpointError>("[exchange] config.json: tie_projs = {} is not supported\n  hint: as many flags as clusters ({}), all alike or all but the first true", found->dump(), clusters);
}

std::string numbered(const char* before, int64_t i, const char* after = "") { return before + std::to_string(i) + after; }

void add_token_names(NameMap& map, const RecurrentOptions& o) {
  const AdaptiveOptions& a = o.adaptive;
  const auto clusters = static_cast<int64_t>(a.cutoffs.size()) + 1;
  const bool shared = a.div_val == 1, projected = !shared || a.embed_dim != o.body.dim;
  for (int64_t i = 0; i < (shared ? 1 : clusters); ++i) {
    const std::string table = numbered("transformer.word_emb.emb_layers.", i, ".weight"), out = numbered("crit.out_layers.", i, ".weight");
    map.rules.push_back({table, numbered("embedding.tables.", i)});
    if (projected) map.rules.push_back({numbered("transformer.word_emb.emb_projs.", i), numbered("embedding.projections.", i)});
    map.rules.push_back({numbered("crit.out_layers.", i, ".bias"), numbered("head.biases.", i)});
    if (o.body.tied_embeddings) map.tied.push_back({out, table});
    else map.rules.push_back({out, numbered("head.tables.", i)});
  }
  for (int64_t i = 0; projected && i < clusters; ++i) {
    const bool tied = a.tied_projections == TiedProjections::kAll || (a.tied_projections == TiedProjections::kAllButFirst && i > 0);
    const std::string out = numbered("crit.out_projs.", i);
    if (tied) map.tied.push_back({out, numbered("transformer.word_emb.emb_projs.", shared ? 0 : i)});
    else map.rules.push_back({out, numbered("head.projections.", i)});
  }
  if (clusters > 1) {
    map.rules.push_back({"crit.cluster_weight", "head.clusters"});
    map.rules.push_back({"crit.cluster_bias", "head.cluster_bias"});
  }
}

NameMap names_of(const RecurrentOptions& o) {
  NameMap map;
  add_token_names(map, o);
  const BodyOptions& body = o.body;
  const int64_t width = body.heads * body.head_dim;
  const std::string theirs = "transformer.layers.{}.", ours = "layers.{}.";
  const auto both = [&](const std::string& public_name, const std::string& our_name) {
    for (const char* part : {".weight", ".bias"}) map.add_layers(body.layers, {theirs + public_name + part, ours + our_name + part});
  };
  map.add_layers(body.layers, {theirs + "dec_attn.qkv_net.weight", ours + "attention.query.weight", false, {.axis = 0, .begin = 0, .size = width}, {}});
  map.add_layers(body.layers, {theirs + "dec_attn.qkv_net.weight", ours + "attention.key_value.weight", false, {.axis = 0, .begin = width, .size = 2 * width}, {}});
  map.add_layers(body.layers, {theirs + "dec_attn.r_net.weight", ours + "attention.distance.weight"});
  map.add_layers(body.layers, {theirs + "dec_attn.o_net.weight", ours + "attention.out.weight"});
  both("dec_attn.layer_norm", "attention_norm");
  both("pos_ff.CoreNet.0", "feed_forward.in");
  both("pos_ff.CoreNet.3", "feed_forward.out");
  both("pos_ff.layer_norm", "feed_forward_norm");
  const std::pair<const char*, const char*> biases[] = {{"r_w_bias", "content"}, {"r_r_bias", "position"}};
  for (const auto& [public_name, our_name] : biases) {
    if (o.untied_biases) {
      map.add_layers(body.layers, {theirs + "dec_attn." + public_name, ours + "attention.biases." + our_name});
      continue;
    }
    const std::string shared = std::string("transformer.") + public_name;
    map.rules.push_back({shared, std::string("biases.") + our_name});
    for (int layer = 0; layer < body.layers; ++layer) map.tied.push_back({"transformer.layers." + std::to_string(layer) + ".dec_attn." + public_name, shared});
  }
  map.buffers.push_back("transformer.pos_emb.inv_freq");
  return map;
}

}  // namespace

PublicTransfoXl read_transfo_xl(const std::string& text) {
  const PublicConfig config(text);
  const std::string architecture = config.first_text("architectures");
  check<CheckpointError>(architecture.empty() || architecture == "TransfoXLLMHeadModel", "[exchange] config.json: architecture {} is not supported\n  hint: TransfoXLLMHeadModel is", architecture);
  check<CheckpointError>(config.integer("attn_type", 0) == 0, "[exchange] config.json: attn_type = {}, only 0 (relative positions of Dai et al. 2019) is supported", config.integer("attn_type", 0));
  check<CheckpointError>(config.integer("sample_softmax", -1) <= 0 && config.boolean("adaptive", true), "[exchange] config.json: only the adaptive softmax is supported (adaptive: true, sample_softmax: -1)");
  PublicTransfoXl out;
  out.options = std::make_shared<RecurrentOptions>();
  out.vocabulary = config.count("vocab_size", 267735);
  BodyOptions& body = out.options->body;
  body.form = Form::kDecoder;
  body.dim = config.count("d_model", 1024);
  body.layers = config.count("n_layer", 18);
  body.heads = body.kv_heads = config.count("n_head", 16);
  body.head_dim = config.count("d_head", 64);
  body.feedforward = config.count("d_inner", 4096);
  body.norm = config.boolean("pre_lnorm", false) ? NormPlacement::kPre : NormPlacement::kPost;
  body.norm_eps = config.number("layer_norm_epsilon", 1e-5);
  body.tied_embeddings = config.boolean("tie_word_embeddings", true);
  body.dropout = body.embedding_dropout = config.number("dropout", 0.1);
  body.attention_dropout = config.number("dropatt", 0);
  body.init_std = config.number("init_std", 0.02);
  body.max_positions = 1;
  SegmentOptions& memory = out.options->memory;
  memory.length = memory.eval_length = config.count("mem_len", 1600);
  memory.clamp = memory.eval_clamp = std::max<int64_t>(config.integer("clamp_len", 1000), 0);
  memory.same_length = config.boolean("same_length", true) ? SameLength::kMemory : SameLength::kOff;
  memory.start = MemoryStart::kZeros;
  out.options->segment = memory.length;
  AdaptiveOptions& adaptive = out.options->adaptive;
  adaptive.cutoffs = config.integers("cutoffs", {20000, 40000, 200000});
  adaptive.div_val = config.count("div_val", 4);
  adaptive.embed_dim = config.count("d_embed", 1024);
  adaptive.tied_projections = tied_projections(text, config, adaptive.cutoffs.size() + 1);
  out.options->untied_biases = config.boolean("untie_r", true);
  out.options->final_norm = RecurrentOptions::FinalNorm::kNo;
  out.names = names_of(*out.options);
  return out;
}

namespace {

std::string to_json(const ModelSpec& spec) {
  const auto& o = dynamic_cast<const RecurrentOptions&>(*spec.options);
  const BodyOptions& body = o.body;
  const SegmentOptions& memory = o.memory;
  const auto only = [](bool good, const char* key, const char* what) {
    check<CheckpointError>(good, "[exchange] model.{}: the public Transformer-XL knows {} only", key, what);
  };
  only(body.activation == Activation::kRelu, "activation", "relu");
  only(body.norm_kind == NormKind::kLayer, "norm_kind", "layer");
  only(body.bias, "bias", "true");
  only(!o.has_final_norm(), "final_norm", "no");
  only(memory.same_length != SameLength::kMemoryAndOne, "memory.same_length", "off and memory");
  only(memory.reset == MemoryReset::kNone, "memory.reset", "none");
  const AdaptiveOptions& a = o.adaptive;
  nlohmann::ordered_json json;
  json["adaptive"] = true;
  json["architectures"] = {"TransfoXLLMHeadModel"};
  json["attn_type"] = 0;
  json["clamp_len"] = memory.eval_clamp > 0 ? memory.eval_clamp : -1;
  json["cutoffs"] = a.cutoffs;
  json["d_embed"] = a.embed_dim;
  json["d_head"] = body.head_dim;
  json["d_inner"] = body.feedforward;
  json["d_model"] = body.dim;
  json["div_val"] = a.div_val;
  json["dropatt"] = body.attention_dropout;
  json["dropout"] = exchange::shared_dropout(body);
  json["init_std"] = body.init_std;
  json["layer_norm_epsilon"] = body.norm_eps;
  json["mem_len"] = memory.eval_length;
  json["model_type"] = "transfo-xl";
  json["n_head"] = body.heads;
  json["n_layer"] = body.layers;
  json["pre_lnorm"] = body.norm == NormPlacement::kPre;
  json["same_length"] = memory.same_length == SameLength::kMemory;
  json["sample_softmax"] = -1;
  auto& tied = json["tie_projs"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i <= a.cutoffs.size(); ++i)
    tied.push_back(a.tied_projections == TiedProjections::kAll || (a.tied_projections == TiedProjections::kAllButFirst && i > 0));
  json["tie_word_embeddings"] = body.tied_embeddings;
  json["untie_r"] = o.untied_biases;
  json["vocab_size"] = spec.vocabulary;
  return json.dump(2) + "\n";
}

}  // namespace

exchange::Family transfo_xl_exchange() {
  exchange::Family family;
  family.name = "transformer_xl";
  family.model_types = {"transfo-xl"};
  family.read = [](const std::string& config, const std::set<std::string>&) {
    const PublicTransfoXl read = read_transfo_xl(config);
    ModelSpec spec;
    spec.family = "transformer_xl";
    spec.options = read.options;
    spec.vocabulary = read.vocabulary;
    return exchange::FamilyReading{read.names, exchange::model_yaml("transformer_xl", *read.options, {.objective = "causal", .sequence_length = read.options->memory.length}), {}, spec};
  };
  family.to_json = to_json;
  return family;
}

}  // namespace longhaul::models
