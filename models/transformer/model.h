// defines: build_transformer, build_sequence_transformer
#pragma once
#include <memory>

#include "models/model.h"

namespace longhaul::models {

/// Dense attention (Vaswani et al. 2017): a decoder sees all earlier tokens, an encoder sees all. Time O(N^2), memory O(N).
std::unique_ptr<LanguageModel> build_transformer(const ModelSpec& spec, nn::Initializer& init);

/// The encoder-decoder of the same paper, section 3.1.
std::unique_ptr<SequenceModel> build_sequence_transformer(const ModelSpec& spec, nn::Initializer& init);

}  // namespace longhaul::models
