// defines: build_local, local_pattern
#pragma once
#include <memory>

#include "framework/pattern/pattern.h"
#include "models/local/options.h"
#include "models/model.h"

namespace longhaul::models {

/// Local attention: a sliding window (Beltagy et al. 2020, section 3.1), or blocks that do not overlap. Time and memory O(N window).
std::unique_ptr<LanguageModel> build_local(const ModelSpec& spec, nn::Initializer& init);

/// Who sees whom. Sliding: causal i - window < j <= i, two-sided |i - j| <= window. Block: j in i's block, and j <= i when causal.
Pattern local_pattern(const LocalOptions& options, bool causal, const Extent& extent);

}  // namespace longhaul::models
