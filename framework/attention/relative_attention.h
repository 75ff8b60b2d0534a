// defines: RelativeInputs, relative_attention
#pragma once
#include "framework/attention/block_attention.h"

namespace longhaul::attention {

/// The operands of attention with relative positions, heads side by side as projections give them.
struct RelativeInputs {
  Variable query;                        // [B, N, H d]
  Variable key_value;                    // [B, K, 2 H d], keys then values; the queries are the last N of the K rows
  Variable distance_key;                 // [distances, H d]; row p is distance p, beyond the last row the last one
  Variable content_bias, position_bias;  // u, v: [H, d]
};

/// softmax(scale ((q + u) . k + (q + v) . r_distance)) values (Dai et al. 2019, section 3.3), read and differentiated in
/// place; neither the shifted table nor the scores exist. -> [B, N, H d]
///
/// The pattern, facts, scale and dropout of `spec` are used; its side keys and relative terms stay undefined.
/// saves the operands, out and lse.  throws ShapeError
Variable relative_attention(const RelativeInputs& inputs, int64_t heads, const AttentionSpec& spec);

}  // namespace longhaul::attention
