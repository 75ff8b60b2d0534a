// defines: longformer_exchange, open_longformer
#pragma once
#include "models/common/encoder_reference.h"
#include "models/exchange/exchange.h"

namespace longhaul::models {

/// Public Longformer folders (model_type "longformer"): bare, or with a head for tokens, classes or spans.
exchange::Family longformer_exchange();

/// The model of a public folder, for reference cases.
PublicEncoder open_longformer(const std::string& config_json, const ReferenceCase& reference);

}  // namespace longhaul::models
