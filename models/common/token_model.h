// defines: build_token_model
#pragma once
#include <memory>

#include "models/common/mixer.h"
#include "models/model.h"

namespace longhaul::models {

/// The model every decoder-only and encoder-only family shares: token (and position) embedding, a stack of layers with the
/// family's mixers, and a head over the vocabulary. Parameters: those of TokenEmbedding, layers.<i>.*, final_norm.*.
std::unique_ptr<LanguageModel> build_token_model(const ModelSpec& spec, const MixerFactory& mixers, nn::Initializer& init);

}  // namespace longhaul::models
