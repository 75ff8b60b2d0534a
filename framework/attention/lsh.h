// defines: LshOptions, LshFacts, automatic_buckets, lsh_rotations, lsh_buckets, lsh_attention,
// shared_query_key_attention
#pragma once
#include <vector>

#include "framework/attention/block_attention.h"
#include "framework/kernels/lsh.h"
#include "framework/pattern/chunks.h"

/// Attention with locality-sensitive hashing (Kitaev et al. 2020, "Reformer: the efficient transformer", section 2):
/// tokens are hashed by their query, sorted by (bucket, position), cut into chunks, and see their own chunk and its
/// neighbours. Several rounds of hashing are joined by log-sum-exp. Queries and keys are the same projection, so a
/// token would look at itself first: it does so only where it sees nothing else.
namespace longhaul::attention {

struct LshOptions {
  /// pattern::sorted_chunks(N, chunks), with segments where there are documents; under pattern::listed_once a key that is
  /// listed several times for a token counts once (the paper's form, appendix A: its weight is divided by their number).
  Pattern pattern = {};
  pattern::ChunkOptions chunks = {};
  /// Buckets [B, H, R, N] are numbers below this; one more for padding.
  int64_t buckets = 2;
  /// dropout.stream.layer below 65536: rounds draw from layers of their own behind it.
  kernels::AttentionDropout dropout = {};
};

/// What is known of the tokens.
struct LshFacts {
  Tensor valid;      // [B, N] u8 or undefined; 0 = a key nobody sees
  Tensor documents;  // [B, N] i32 or undefined; tokens see only tokens of the same number
};

/// The factors of the number of buckets for sequences of `length` tokens where none is configured: the largest power of
/// two that is at most 2 (length div chunk), in two factors when it is above 2 max(floor sqrt(longest div chunk),
/// chunk). (Rule of the public implementation.)
std::vector<int64_t> automatic_buckets(int64_t length, int64_t chunk, int64_t longest);

/// Random rotations [H, d, R, columns of the factors], f32 (f64 for f64).
Tensor lsh_rotations(int64_t heads, int64_t head_dim, int64_t rounds, const kernels::LshHash& hash,
                     const RandomStream& stream, DType dtype, Device device);

/// Buckets [B, H, R, N] i32 of queries [B, N, H d] under rotations [H, d, R, columns]. throws ShapeError
Tensor lsh_buckets(const Tensor& query, const Tensor& rotations, const kernels::LshHash& hash, const Tensor& valid);

/// query [B, N, H d], key [B, N, H d] (normalised, with the scale in it: scores are query . key), value [B, N, H d],
/// buckets [B, H, R, N] i32 -> [B, N, H d]. Any N. Keys and values are read in place through the sorted order; only the
/// chunks that a round sees of its neighbour rounds are copied. A token that is listed m times for another one counts m
/// times, as in the public implementations, or once.
///
/// Keeps the operands, the result and its log-sum-exp: each round is differentiated under the log-sum-exp of all. Rows
/// that see nothing but themselves give their value; leaving their own score (-1e5 in the paper's code) out of every
/// softmax is the same and exact, where f32 numbers of that size are 2^-7 apart. `round_lse`: receives [B, H, R, N],
/// -inf where a row of a round saw nothing.
Variable lsh_attention(const Variable& query, const Variable& key, const Variable& value, const Tensor& buckets,
                       const LshOptions& options, const LshFacts& facts, Tensor* round_lse = nullptr);

/// The same without hashing: every token sees all tokens (causal: all before it), itself as a last resort.
Variable shared_query_key_attention(const Variable& query, const Variable& key, const Variable& value, int64_t heads,
                                    bool causal, const kernels::AttentionDropout& dropout, const LshFacts& facts);

/// Keys of shared-QK attention: query rows of one head divided by their root mean square and by sqrt(d), so that they
/// have length 1 (eps 1e-6 beside the mean square). query [B, N, H d] -> [B, N, H d].
Variable unit_keys(const Variable& query, int64_t heads);

}  // namespace longhaul::attention
