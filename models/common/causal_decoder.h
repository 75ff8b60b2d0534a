// defines: causal_mixers
#pragma once
#include "models/common/mixer.h"
#include "models/common/options.h"

namespace longhaul::models {

/// Dense causal attention in every layer of a decoder.
MixerFactory causal_mixers(const BodyOptions& decoder);

}  // namespace longhaul::models
