// defines: TokenModelParts, build_token_model
#pragma once
#include <memory>

#include "models/common/head.h"
#include "models/common/mixer.h"
#include "models/common/token_embedding.h"
#include "models/model.h"

namespace longhaul::models {

/// Where a family differs from the plain body around its mixers.
struct TokenModelParts {
  HeadLayout head = {};
  InputOptions input = {};
  /// Learned vectors in front of the sequence, which the mixers see and the head does not. Two-sided models only.
  int64_t prefix = 0;
};

/// The model every decoder-only and encoder-only family shares: token (and position) embedding, a stack of layers with the
/// family's mixers, and the head that spec.head asks for. Parameters: those of TokenEmbedding, head.* (models/common/head.h),
/// layers.<i>.*, final_norm.*, and with a prefix prefix_embedding.weight [g, D].
std::unique_ptr<LanguageModel> build_token_model(const ModelSpec& spec, const MixerFactory& mixers, nn::Initializer& init, const TokenModelParts& parts = {});

}  // namespace longhaul::models
