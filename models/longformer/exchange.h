// defines: public_windows, longformer_exchange, open_longformer
#pragma once
#include "models/common/encoder_reference.h"
#include "models/exchange/exchange.h"
#include "models/exchange/public_config.h"

namespace longhaul::models {

/// attention_window of config.json, which is both sides together, as windows of one side: one, or one for each layer.
std::vector<int64_t> public_windows(const exchange::PublicConfig& config, int layers);

/// Public Longformer folders (model_type "longformer"): bare, or with a head for tokens, classes or spans.
exchange::Family longformer_exchange();

/// The model of a public folder, for reference cases.
PublicEncoder open_longformer(const std::string& config_json, const ReferenceCase& reference);

}  // namespace longhaul::models
