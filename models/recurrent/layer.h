// defines: SegmentView, TokenCache, PositionBiases, RecurrentLayer
#pragma once
#include <memory>

#include "framework/attention/block_attention.h"
#include "framework/nn/layers.h"
#include "models/common/memory_options.h"
#include "models/recurrent/options.h"

namespace longhaul::models {

/// What all layers of a pass over one segment share.
struct SegmentView {
  Pattern pattern;  // the segment's queries over memory and segment
  Tensor query_documents, key_documents;  // [B, 1, N], [B, 1, K] i32 or undefined
  Variable distances;  // [rows, D] in context.compute: sines and cosines of distance 0, 1, ...
  uint32_t segment = 0;  // number within the step: part of the key of dropout
};

/// Keys and values of the tokens before, for decoding: the newest `tokens` rows up to `end`.
struct TokenCache {
  Tensor rows;       // [B, capacity, 2 H, d]
  Tensor distances;  // [rows, H, d], projected once
  int64_t begin = 0, end = 0;
};

/// The content and position biases u, v [H, d].
struct PositionBiases final : nn::Module {
  PositionBiases(int64_t heads, int64_t head_dim, double deviation, nn::Initializer& init);
  Variable content, position;
};

/// One layer of Transformer-XL (Dai et al. 2019, section 3.3): attention of the segment to memory and segment with relative
/// positions, then a feed-forward. Linear maps of attention have no biases. Parameters: attention.query.weight [H d, D],
/// attention.key_value.weight [2 H d, D], attention.distance.weight [H d, D], attention.out.weight [D, H d],
/// attention.biases.{content, position} [H, d] unless one pair serves all layers, attention_norm.*, feed_forward.*,
/// feed_forward_norm.*.
class RecurrentLayer final : public nn::Module {
 public:
  /// `biases`: the pair of all layers, or null for an own one.
  RecurrentLayer(const RecurrentOptions& options, int index, const MemoryOptions& memory, const PositionBiases* biases, nn::Initializer& init);

  /// x [B, N, D], the residual stream; memory [B, M, D] in context.compute, or undefined -> [B, N, D].
  Variable forward(const Variable& x, const Variable& memory, const SegmentView& segment, const nn::StepContext& context) const;

  /// Queries of x [B, N, D] with all parameters as constants, for recall: [B, N, H d].
  Variable recall_query(const Variable& x, const nn::StepContext& context) const;
  /// What these queries draw from other rows [B, R, D] by content alone, all parameters being constants: [B, N, H d] (Rae et al.
  /// 2019, algorithm 2: content-based attention). Gradients reach `rows` only.
  Variable recall(const Variable& query, const Variable& rows, const nn::StepContext& context) const;
  /// Weights that the keys of memory and segment receive in forward, mean over heads and queries, without dropout: [B, K] f32
  /// (f64 for f64).
  Tensor usage(const Variable& x, const Variable& memory, const SegmentView& segment, const nn::StepContext& context) const;
  /// The same for the tokens x [B, n, D] that step() has just appended to a cache.
  Tensor usage(const Variable& x, const TokenCache& cache, const Pattern& pattern, const nn::StepContext& context) const;

  /// Room for `capacity` tokens of `batch` sequences; `distances` [rows, D].
  TokenCache start(int64_t batch, int64_t capacity, const Variable& distances, DType compute) const;
  /// Puts the keys and values of `count` rows of zeros into an empty cache.
  void fill_with_zeros(TokenCache& cache, int64_t count) const;
  /// The keys and values that a cache holds of rows [B, n, D]: [B, n, 2 H, d].
  Tensor remembered(const Variable& rows, const nn::StepContext& context) const;
  /// forward() of n new tokens whose keys and values are appended to the cache. `pattern`: n queries over the cached rows and them.
  Variable step(const Variable& x, TokenCache& cache, const Pattern& pattern, const nn::StepContext& context) const;

 private:
  struct Sides {
    Variable asking, seen;  // [B, N, D], [B, K, D]: what queries and keys are made of
  };
  Sides sides(const Variable& x, const Variable& memory, const nn::StepContext& context) const;
  attention::AttentionSpec spec_of(const SegmentView& segment) const;
  Variable attend(const Variable& x, const Variable& memory, const SegmentView& segment, const nn::StepContext& context) const;
  Variable finish(const Variable& x, const Variable& attended, const SegmentView& segment, const nn::StepContext& context) const;
  Variable feed(const Variable& x, const SegmentView& segment, const nn::StepContext& context) const;
  Variable drop(const Variable& x, uint32_t branch, const SegmentView& segment, const nn::StepContext& context) const;

  BodyOptions body_;
  MemoryOptions memory_;
  int index_;
  nn::Linear query_, key_value_, distance_, out_;
  std::unique_ptr<PositionBiases> own_biases_;
  const PositionBiases* biases_;
  nn::Norm attention_norm_, feed_forward_norm_;
  nn::Linear in_, back_;  // of the feed-forward
  ops::FeedForwardOptions feed_options_;
};

/// Rows 0, 1, ... of the table of distances (Vaswani et al. 2017, section 3.5, as Dai et al. 2019 lay it out): all sines,
/// then all cosines of p / 10000^(2t / D). [rows, D]
Tensor distance_table(int64_t rows, int64_t width, Device device, DType dtype);

}  // namespace longhaul::models
