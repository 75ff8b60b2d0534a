// defines: exchange::BertHead, BertDefaults, BertLayout, bert_layout, add_bert_names, TokenHeadNames, add_head_names, bert_json
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "models/common/encoder_layout.h"
#include "models/exchange/model_yaml.h"
#include "models/exchange/name_map.h"
#include "models/exchange/public_config.h"

/// What Longformer and BigBird checkpoints have in common with BERT and RoBERTa: names of embeddings, feed-forwards and norms,
/// and the keys of config.json for them.
namespace longhaul::models::exchange {

enum class BertHead { kNone, kTokens, kClasses, kSpans };

/// What a library's configuration class says where config.json does not, and what marks a head.
struct BertDefaults {
  std::string prefix;           // of the tensors of models with a head
  int vocabulary = 0;
  int max_positions = 0;        // rows of the position table
  std::string activation;
  double norm_eps = 1e-12;
  int padding_token = 0;
  std::string token_head;       // a tensor that only models with this head have
  std::string class_head, span_head;
  bool span_layer = false;  // the head for spans has a feed-forward layer
};

struct BertLayout {
  std::string prefix;
  BertHead head = BertHead::kTokens;
  BodyOptions body;
  EncoderLayout layout;
  int64_t vocabulary = 0;
  std::vector<std::string> labels;  // of a head for classes
  int64_t position_rows = 0;  // of the public table

  /// What the model is made with, without its family options.
  ModelSpec spec() const;
  /// What it was made for, with sequences of `length` tokens.
  ImportedData data(int64_t length) const;
};

/// Sizes, activation, norms and dropout from config.json; the head and the prefix from the tensors that are there, or, where
/// `tensors` is empty, from `architectures`.
BertLayout bert_layout(const PublicConfig& config, const BertDefaults& defaults, const std::set<std::string>& tensors);

/// Every tensor but those of self-attention's inputs and of the head.
void add_bert_names(NameMap& map, const BertLayout& layout);

/// Where a public token head keeps its layers; `decoder` is its projection.
struct TokenHeadNames {
  std::string dense, norm, bias, decoder;
};

/// The tensors of a head for tokens or classes; `tensors` tells where the bias is.
void add_head_names(NameMap& map, const BertLayout& layout, const TokenHeadNames& names, const std::set<std::string>& tensors);

/// The text of config.json for a model trained here: the keys that bert_layout reads, and `more`. throws CheckpointError naming the key that the public layout cannot express
std::string bert_json(const BodyOptions& body, const EncoderLayout& layout, const ModelSpec& spec, const std::string& architecture, const nlohmann::ordered_json& more);

}  // namespace longhaul::models::exchange
