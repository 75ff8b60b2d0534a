// defines: build_token_model
#pragma once
#include <memory>

#include "models/common/head.h"
#include "models/common/mixer.h"
#include "models/model.h"

namespace longhaul::models {

/// The model every decoder-only and encoder-only family shares: token (and position) embedding, a stack of layers with the
/// family's mixers, and the head that spec.head asks for. Parameters: those of TokenEmbedding, head.* (models/common/head.h),
/// layers.<i>.*, final_norm.*.
std::unique_ptr<LanguageModel> build_token_model(const ModelSpec& spec, const MixerFactory& mixers, nn::Initializer& init, const HeadLayout& layout = {});

}  // namespace longhaul::models
