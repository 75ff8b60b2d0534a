// defines: build_longformer, longformer_patterns, longformer_picture
#pragma once
#include <memory>
#include <vector>

#include "models/common/self_attention.h"
#include "models/longformer/options.h"
#include "models/model.h"

namespace longhaul::models {

/// Longformer (Beltagy et al. 2020). Two-sided: a window in each layer, and global tokens with their own projections. Causal:
/// the window alone, dilated where asked for. Time O(N (2 w + G)) for a layer's window and G global tokens, memory O(N).
std::unique_ptr<LanguageModel> build_longformer(const ModelSpec& spec, nn::Initializer& init);

/// The patterns of every layer; layers with the same window share one cache.
std::vector<std::shared_ptr<PatternCache>> longformer_patterns(const LongformerOptions& options, bool causal);

/// Who sees whom in the first layer, in the order of the tokens: local rows and global rows in one pattern, which the model
/// runs as two calls. Tokens that only the data marks as global are not drawn.
Pattern longformer_picture(const LongformerOptions& options, Form form, const Extent& extent);

}  // namespace longhaul::models
