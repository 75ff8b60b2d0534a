// defines: reformer_exchange, PublicReformer, read_reformer
#pragma once
#include <set>

#include "models/exchange/exchange.h"
#include "models/reformer/options.h"

namespace longhaul::models {

/// Public folders of decoders with a language-model head and of encoders (masked tokens, classes, spans, or no head).
exchange::Family reformer_exchange();

/// What config.json and the names of the tensors say.
struct PublicReformer {
  ModelSpec spec;
  std::shared_ptr<ReformerOptions> options;
  exchange::NameMap names;
  std::string objective;
};

/// throws CheckpointError
PublicReformer read_reformer(const std::string& config_json, const std::set<std::string>& tensors);

}  // namespace longhaul::models
