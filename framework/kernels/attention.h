// defines: AttentionDropout, RelativeTerm, AttentionOptions, AttentionGradients, AttentionKernels,
// attention_workspace_bytes
#pragma once
#include "framework/kernels/kernel.h"
#include "framework/pattern/pattern.h"
#include "framework/pattern/tokens.h"
#include "framework/tensor/random.h"

namespace longhaul::kernels {

/// Dropout of attention probabilities. The word of a pair is element ((first_row + b) * H + h) * Nq * W + i * W + j of
/// the stream, i and j rows of the tensors, W = 4 ceil(Nk / 4) + 4 ceil(Ns / 4); side slot s counts as j = 4 ceil(Nk /
/// 4) + s.
struct AttentionDropout {
  RandomStream stream;
  double probability = 0;  // 0: no dropout
  uint64_t first_row = 0;  // global index of batch row 0
};

/// An additive term by relative distance (query position - key position) of main keys. Distances outside of
/// [first_distance, first_distance + D) use the nearest entry.
struct RelativeTerm {
  /// scale * (query[b, h, i] . key[h, distance]): Transformer-XL's (q + v) R (Dai et al. 2019, equation of
  /// section 3.3).
  View query;  // [B, H, Nq, d_r], strides as those of the main query
  View key;    // [H, D, d_r]
  /// + bias[h, distance], not scaled: bucket tables, linear slopes.
  View bias;  // [H, D]
  int64_t first_distance = 0;
  bool present() const { return query.present || bias.present; }
};

struct AttentionOptions {
  const Pattern* pattern = nullptr;
  TokenInfo query_info, key_info, side_info;
  View side_key;    // [B, Hk, Ns, d]
  View side_value;  // [B, Hk, Ns, d_v]
  RelativeTerm relative;
  float scale = 1;
  AttentionDropout dropout;
};

/// Optional results of backward; an absent view is not computed.
struct AttentionGradients {
  View side_key, side_value;         // dtype of the operand
  View relative_query;               // dtype of the operand
  View relative_key, relative_bias;  // [H, D, d_r], [H, D] f32 (f64), summed over the batch in order
};

/// Attention over a pattern:
///
///   s_ij = scale q_i . k_j + relative_ij + logm,   lse_i = ln sum_j exp s_ij,   out_i = sum_j exp(s_ij - lse_i) v_j
///
/// over the pairs that the pattern, the token facts and the key masks make visible; nothing else is read as a number,
/// so NaN in an invisible row never spreads. A row that sees nothing has out 0, lse -inf and zero gradients.
///
///   query [B, H, Nq, d], key [B, Hk, Nk, d], value [B, Hk, Nk, d_v], out [B, H, Nq, d_v]   Hk divides H
///   lse [B, H, Nq] contiguous, f32 (f64 for f64 operands)
///
/// Operands share a dtype; out and gradients have that dtype or f32. All strides are free except the last, which is 1:
/// parts of a fused projection are read in place. Products are rounded operands with f32 sums; softmax is f32 (f64).
/// Rows that a permutation does not name are left untouched in out, lse and gradients. The split of work depends on
/// shapes and the pattern only, and nothing is accumulated by atomics: results have the same bits for any number of
/// threads.
///
/// workspace: u8, attention_workspace_bytes; its size bounds how many threads work.
struct AttentionKernels {
  Kernel<const View& /*query*/, const View& /*key*/, const View& /*value*/, const View& /*out*/, const View& /*lse*/,
         const View& /*workspace*/, const AttentionOptions&>
      forward{"attention.forward"};
  /// dS_ij = P_ij (dP_ij - delta_i + dlse_i), delta_i = dout_i . out_i (Dao et al. 2022, algorithm 4, with the gradient
  /// of lse). dout or dlse may be absent (zero); dquery, dkey, dvalue are written, not added to, and may be absent.
  Kernel<const View& /*query*/, const View& /*key*/, const View& /*value*/, const View& /*out*/, const View& /*lse*/,
         const View& /*dout*/, const View& /*dlse*/, const View& /*dquery*/, const View& /*dkey*/,
         const View& /*dvalue*/, const AttentionGradients&, const View& /*workspace*/, const AttentionOptions&>
      backward{"attention.backward"};

  template <typename F>
  void each(F f) {
    f(forward), f(backward);
  }
};

/// Two products of every visited tile forward, five backward; one and three more for a relative query.
double work_of(const View& query, const View& key, const View& value, const View& out, const View& lse,
               const View& workspace, const AttentionOptions& options);
double work_of(const View& query, const View& key, const View& value, const View& out, const View& lse,
               const View& dout, const View& dlse, const View& dquery, const View& dkey, const View& dvalue,
               const AttentionGradients& gradients, const View& workspace, const AttentionOptions& options);

/// Sizes that decide the workspace.
struct AttentionShape {
  DType dtype = DType::kF32;
  int64_t batch = 1, heads = 1, key_heads = 1;
  int64_t queries = 0, keys = 0, side_keys = 0;  // rows in tile order, permutations included
  int64_t head_dim = 64, value_dim = 64;
  int64_t relative_dim = 0, distances = 0;  // of the relative term
};
AttentionShape attention_shape(const View& query, const View& key, const View& value, const Pattern& pattern,
                               const RelativeTerm& relative = {});

inline constexpr int kAttentionGroup = 16;    // query tiles (of all heads of a group) that share packed keys
inline constexpr int kAttentionChunk = 16;    // key tiles of one partial result when few queries meet many keys
inline constexpr int kAttentionFewRows = 16;  // at most this many query rows for each key head are "few"

/// Into how many ranges of keys the backward of one (batch entry, key head) is cut, each with its own sum of dquery
/// that are added in order: 1 unless there are few of them. Decided by the shape alone.
int attention_backward_splits(const AttentionShape& shape);

struct AttentionWorkspace {
  int64_t per_thread = 0, shared = 0;  // bytes
  int64_t relative = 0;                // where in the shared part that of the relative term begins
};
AttentionWorkspace attention_workspace(const AttentionShape& shape, bool backward);

/// Bytes of workspace for `threads` threads; the same on every host.
int64_t attention_workspace_bytes(const AttentionShape& shape, bool backward, int threads);

}  // namespace longhaul::kernels
