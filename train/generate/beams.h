// defines: search_beams
#pragma once
#include "train/generate/decoder.h"
#include "train/generate/generate.h"

namespace longhaul::train {

/// Beam search over `request.beams` rows; `decoder` holds the prompt once and `logits` [1, V] follow it.
Generation search_beams(Decoder& decoder, const Tensor& logits, const GenerateRequest& request);

}  // namespace longhaul::train
