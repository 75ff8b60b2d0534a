// defines: bigbird_exchange, drawn_blocks, open_bigbird
#pragma once
#include "models/bigbird/options.h"
#include "models/common/encoder_reference.h"
#include "models/exchange/exchange.h"

namespace longhaul::models {

/// Public BigBird folders (model_type "big_bird"): bare, or with a head for tokens or classes.
exchange::Family bigbird_exchange();

/// The random blocks a model of the public code draws in a case, as "aux.rand_attn.<layer>".
std::map<std::string, Tensor> drawn_blocks(const BlockOptions& blocks, const BodyOptions& body, const ReferenceCase& reference);

/// The model of a public folder, for reference cases, and the random blocks it draws as "aux.rand_attn.<layer>".
PublicEncoder open_bigbird(const std::string& config_json, const ReferenceCase& reference);

}  // namespace longhaul::models
