// defines: bigbird_exchange, open_bigbird
#pragma once
#include "models/common/encoder_reference.h"
#include "models/exchange/exchange.h"

namespace longhaul::models {

/// Public BigBird folders (model_type "big_bird"): bare, or with a head for tokens or classes.
exchange::Family bigbird_exchange();

/// The model of a public folder, for reference cases, and the random blocks it draws as "aux.rand_attn.<layer>".
PublicEncoder open_bigbird(const std::string& config_json, const ReferenceCase& reference);

}  // namespace longhaul::models
