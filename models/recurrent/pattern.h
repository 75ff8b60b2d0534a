// defines: visible_keys, recurrent_pattern, stream_pattern
#pragma once
#include "framework/pattern/pattern.h"
#include "models/recurrent/options.h"

namespace longhaul::models {

/// Keys a query sees with same_length and a memory of so many tokens; 0: all before it.
int64_t visible_keys(const RecurrentOptions& options, int64_t memory);

/// Causal, the queries being the last of the keys; with `window` above 0, so many keys.
Pattern recurrent_pattern(const Extent& extent, int64_t window);

/// What the tokens of one stream see of it: segments of `segment` tokens, each with the `memory` tokens before it.
Pattern stream_pattern(const Extent& extent, int64_t segment, int64_t memory, int64_t window);

}  // namespace longhaul::models
