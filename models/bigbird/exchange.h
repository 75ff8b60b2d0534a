// defines: read_public_blocks, write_public_blocks, bigbird_exchange, drawn_blocks, open_bigbird
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "models/bigbird/options.h"
#include "models/common/encoder_reference.h"
#include "models/exchange/exchange.h"
#include "models/exchange/public_config.h"

namespace longhaul::models {

/// The keys of config.json that say who sees whom.
BlockOptions read_public_blocks(const exchange::PublicConfig& config);
/// throws CheckpointError for blocks that the public code cannot have; `model` is its name
void write_public_blocks(nlohmann::ordered_json& to, const BlockOptions& blocks, const char* model);

/// Public BigBird folders (model_type "big_bird"): bare, or with a head for tokens, classes or spans.
exchange::Family bigbird_exchange();

/// The random blocks a model of the public code draws in a case, as "aux.rand_attn.<layer>".
std::map<std::string, Tensor> drawn_blocks(const BlockOptions& blocks, const BodyOptions& body, const ReferenceCase& reference);

/// The model of a public folder, for reference cases, and the random blocks it draws as "aux.rand_attn.<layer>".
PublicEncoder open_bigbird(const std::string& config_json, const ReferenceCase& reference);

}  // namespace longhaul::models
