// defines: build_bigbird, block_pattern, block_patterns
#pragma once
#include <memory>

#include "models/bigbird/attention.h"
#include "models/bigbird/options.h"
#include "models/model.h"

namespace longhaul::models {

/// BigBird (Zaheer et al. 2020), two-sided. Time O(N b (5 + r)), memory O(N).
std::unique_ptr<LanguageModel> build_bigbird(const ModelSpec& spec, nn::Initializer& init);

/// The pattern of one layer over extent.keys tokens, the extra global ones included.
Pattern block_pattern(const BlockOptions& options, const BodyOptions& body, int layer, const Extent& extent, bool training);

/// The patterns of one layer by length.
BlockPatterns block_patterns(const BlockOptions& options, const BodyOptions& body, int layer);

}  // namespace longhaul::models
