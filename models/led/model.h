// defines: build_led
#pragma once
#include <memory>

#include "models/led/options.h"
#include "models/model.h"

namespace longhaul::models {

/// Longformer-Encoder-Decoder (Beltagy et al. 2020, section 7): the layout of BART (Lewis et al. 2019), with a window and global
/// tokens in the encoder; the decoder sees all earlier target tokens and all source tokens. Time O(N (2 w + G) + M (N + M)) for
/// a source of N and a target of M tokens, memory O(N + M).
std::unique_ptr<SequenceModel> build_led(const ModelSpec& spec, nn::Initializer& init);

}  // namespace longhaul::models
