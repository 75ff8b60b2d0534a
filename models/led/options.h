// defines: LedOptions, led_family
#pragma once
#include "models/common/decoder_side.h"
#include "models/longformer/options.h"

namespace longhaul::models {

/// The encoder's window and global tokens are Longformer's.
struct LedOptions : LongformerOptions {
  LedOptions() { body.norm = NormPlacement::kPost; }
  DecoderSide decoder;
};

FamilyInfo led_family();

}  // namespace longhaul::models
