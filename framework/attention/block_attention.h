// defines: TokenFacts, AttentionSpec, AttentionResult, block_attention, self_attention, projected_attention, token_info
#pragma once
#include <optional>

#include "framework/autograd/variable.h"
#include "framework/kernels/attention.h"
#include "framework/pattern/pattern.h"

namespace longhaul::attention {

/// Facts about the tokens of one side as tensors [1 or B, 1 or H, rows]; see TokenInfo. Undefined ones are absent.
struct TokenFacts {
  Tensor position, segment, bucket;  // i32
  Tensor global, valid;              // u8
  Tensor rows;                       // i32: tensor row of every tile row, -1 for padding
};

struct AttentionSpec {
  Pattern pattern;
  TokenFacts query, key, side;
  Variable side_key, side_value;                              // [B, Hk, Ns, d], [B, Hk, Ns, d_v] or undefined
  Variable relative_query, relative_key, relative_bias;       // [B, H, Nq, d_r], [H, D, d_r], [H, D] or undefined
  int64_t first_distance = 0;                                 // of the first column of relative_key and relative_bias
  std::optional<double> scale;                                // default 1 / sqrt(d)
  kernels::AttentionDropout dropout;
};

struct AttentionResult {
  Variable out;  // [B, H, Nq, d_v]
  Variable lse;  // [B, H, Nq] f32 (f64 for f64), natural logarithm; -inf where a row sees nothing
};

/// Softmax attention over a pattern (formulas: framework/kernels/attention.h). Memory O(N); nothing of size Nq x Nk exists.
///
/// query [B, H, Nq, d], key [B, Hk, Nk, d], value [B, Hk, Nk, d_v]; Hk divides H (grouped heads). One dtype.
/// Gradients reach query, key, value, side keys and values and the relative term, from both out and lse.
/// saves  the operands, out and lse.  throws ShapeError when shapes do not fit each other or the pattern.
AttentionResult block_attention(const Variable& query, const Variable& key, const Variable& value, const AttentionSpec& spec);

/// The same for a fused projection, whose parts are read and whose gradient is written in place.
/// qkv [B, N, (H + 2 Hk) d]: query heads, then key heads, then value heads -> [B, N, H d]. Gradients reach qkv, side keys
/// and side values.
Variable self_attention(const Variable& qkv, int64_t heads, int64_t key_heads, const AttentionSpec& spec);

/// The same for queries and a fused projection of other rows, both read and their gradients written in place.
/// query [B, Nq, H d], key_value [B, Nk, 2 Hk d]: key heads, then value heads -> [B, Nq, H d]. Gradients reach both.
Variable projected_attention(const Variable& query, const Variable& key_value, int64_t heads, int64_t key_heads, const AttentionSpec& spec);

/// The facts as kernels read them; throws ShapeError when one does not fit `rows` rows (`tile_rows` of them in tile order).
TokenInfo token_info(const TokenFacts& facts, int64_t batch, int64_t heads, int64_t rows, int64_t tile_rows);

/// Views of the parts of a fused projection: query [B, H, N, d], key and value [B, Hk, N, d].
struct FusedParts {
  Tensor query, key, value;
};
FusedParts split_fused(const Tensor& qkv, int64_t heads, int64_t key_heads);

}  // namespace longhaul::attention
