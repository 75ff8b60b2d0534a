// defines: exchange::BartLayout, BartDefaults, bart_layout, write_bart_json, add_bart_names
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <set>

#include "models/common/decoder_side.h"
#include "models/exchange/name_map.h"
#include "models/exchange/public_config.h"

/// What LED and BigBird-Pegasus checkpoints have in common with BART: names of the decoder, of feed-forwards and norms, and
/// the keys of config.json for them.
namespace longhaul::models::exchange {

struct BartLayout {
  std::string prefix;  // "led.", "model."; empty for models without a head
  BodyOptions encoder;
  DecoderSide decoder;
  int64_t vocabulary = 0;
  bool embedding_norm = false;  // `layernorm_embedding` follows the embeddings; else it ends the stacks
};

/// What a library's configuration class says where config.json does not.
struct BartDefaults {
  std::string prefix;      // of the tensors of models with heads
  int vocabulary = 0;
  int layers = 0;          // of each side
  std::string activation;
};

/// Sizes, activation and dropout from config.json; the prefix from the tensors that are there (none of them: with a head).
/// Positions, norm and everything of the encoder's attention is left to the family.
BartLayout bart_layout(const PublicConfig& config, const BartDefaults& defaults, const std::set<std::string>& tensors);

/// Writes the keys of config.json that bart_layout reads, for a model trained here. throws CheckpointError naming the key that
/// the public layout cannot express
void write_bart_json(nlohmann::ordered_json& to, const BodyOptions& encoder, const DecoderSide& decoder, NormPlacement norm, int64_t vocabulary);

/// Every tensor but those of the encoder's self-attention.
void add_bart_names(NameMap& map, const BartLayout& layout);

}  // namespace longhaul::models::exchange
