// defines: LedOptions, led_family
#pragma once
#include <vector>

#include "models/common/decoder_side.h"
#include "models/common/global_tokens.h"
#include "models/registry.h"

namespace longhaul::models {

struct LedOptions : FamilyOptions {
  LedOptions() { body.norm = NormPlacement::kPost; }
  DecoderSide decoder;
  std::vector<int64_t> window = {256};  // tokens on each side, of each layer of the encoder, or one for all
  GlobalOptions globals;

  int64_t window_of(int layer) const { return window[window.size() == 1 ? 0 : static_cast<size_t>(layer)]; }
};

FamilyInfo led_family();

}  // namespace longhaul::models
