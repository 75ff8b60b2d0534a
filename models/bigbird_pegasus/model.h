// defines: build_bigbird_pegasus
#pragma once
#include <memory>

#include "models/bigbird_pegasus/options.h"
#include "models/model.h"

namespace longhaul::models {

/// BigBird-Pegasus (Zaheer et al. 2020, section 4.1): the layout of PEGASUS (Zhang et al. 2020), with blocks, random blocks and
/// global blocks in the encoder; the decoder sees all earlier target tokens and all source tokens. Time
/// O(N b (5 + r) + M (N + M)) for a source of N and a target of M tokens, memory O(N + M).
std::unique_ptr<SequenceModel> build_bigbird_pegasus(const ModelSpec& spec, nn::Initializer& init);

}  // namespace longhaul::models
