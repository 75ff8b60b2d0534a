// defines: LshAttention
#pragma once
#include <memory>

#include "framework/attention/lsh.h"
#include "models/common/self_attention.h"
#include "models/reformer/options.h"

namespace longhaul::models {

/// Attention among tokens that hash alike (Kitaev et al. 2020, section 2), or among all where the sequence is no longer than a
/// chunk. Rotations are drawn anew in every training step, for each layer and head, and are the same in every evaluation.
/// Parameters: query_key.weight [H d, D], value.weight [H d, D], out.weight [D, H d], and biases.
class LshAttention final : public Mixer {
 public:
  LshAttention(const SelfAttentionOptions& options, const ReformerOptions& family, std::shared_ptr<PatternCache> patterns, nn::Initializer& init);
  Variable forward(const Variable& hidden, const SequenceInfo& sequence, const nn::StepContext& context) const override;
  std::unique_ptr<MixerState> start(int64_t batch, int64_t capacity, const nn::StepContext& context) const override;
  /// The first tokens are read as forward reads them, with full attention while they fit into `reach` keys. Each later one sees
  /// the `reach` = rounds (before + 1) chunk keys that share a bucket with it in any round, newer ones first, and then the
  /// newest of the others (the rule of the published Trax code).
  Variable step(const Variable& hidden, MixerState& state, const SequenceInfo& sequence, const nn::StepContext& context) const override;
  /// ln of the sum of the weights of each round, [B, H, R, N]; a row that sees only itself has kLastResortScore. A key that
  /// counts once counts in the first round that lists it.
  Tensor round_lse(const Variable& hidden, const SequenceInfo& sequence, const nn::StepContext& context) const;
  /// Queries and keys of hidden [B, N, D], [B, N, H d]; a query . key is a score.
  Variable queries(const Variable& hidden) const { return query_key_(hidden); }
  Variable keys(const Variable& hidden) const { return attention::unit_keys(queries(hidden), options_.heads); }

 private:
  kernels::LshHash hash_of(int64_t length) const { return {family_.bucket_factors(length)}; }
  Tensor rotations(const kernels::LshHash& hash, int64_t rounds, const Variable& query, const SequenceInfo& sequence, const nn::StepContext& context) const;
  Tensor buckets(const Variable& query, const SequenceInfo& sequence, const nn::StepContext& context) const;
  Variable mixed(const Variable& query, const Variable& key, const Variable& value, const Tensor& buckets, const SequenceInfo& sequence, const nn::StepContext& context,
                 Tensor* round_lse = nullptr) const;
  int64_t reach() const { return family_.eval_rounds * (family_.lsh_before + 1) * family_.lsh_chunk; }

  SelfAttentionOptions options_;
  ReformerOptions family_;
  std::shared_ptr<PatternCache> patterns_;
  nn::Linear query_key_, value_, out_;
};

}  // namespace longhaul::models
