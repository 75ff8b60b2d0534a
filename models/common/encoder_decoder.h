// defines: build_encoder_decoder
#pragma once
#include <memory>

#include "models/common/head.h"
#include "models/common/mixer.h"
#include "models/model.h"

namespace longhaul::models {

/// Encoder and decoder with one token table (Vaswani et al. 2017, section 3.1): the encoder's mixers see both sides, the
/// decoder's are causal, and each decoder layer attends to the encoded source. Parameters: those of TokenEmbedding, head.*,
/// encoder.layers.<i>.*, encoder.final_norm.*, decoder.layers.<i>.*, decoder.final_norm.*.
std::unique_ptr<SequenceModel> build_encoder_decoder(const ModelSpec& spec, const MixerFactory& encoder_mixers, const MixerFactory& decoder_mixers, nn::Initializer& init, const HeadLayout& layout = {});

}  // namespace longhaul::models
