// defines: PublicTransfoXl, read_transfo_xl, transfo_xl_exchange
#pragma once
#include <memory>
#include <string>

#include "models/exchange/exchange.h"
#include "models/recurrent/options.h"

namespace longhaul::models {

/// A checkpoint of transformers' TransfoXLLMHeadModel (4.35, the last line of versions that has it).
struct PublicTransfoXl {
  std::shared_ptr<RecurrentOptions> options;
  int64_t vocabulary = 0;
  exchange::NameMap names;
};

/// Options and names from config.json. throws CheckpointError for what has no counterpart here
PublicTransfoXl read_transfo_xl(const std::string& config_json);

exchange::Family transfo_xl_exchange();

}  // namespace longhaul::models
