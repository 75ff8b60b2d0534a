// defines: PatternRule, SidePatternRule, PatternCache, SelfAttentionOptions, SelfAttention, by_token, with_positions
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "framework/attention/block_attention.h"
#include "framework/nn/layers.h"
#include "models/common/mixer.h"
#include "models/common/options.h"

namespace longhaul::models {

/// Who sees whom, as a function of the sizes: what tells one fixed-pattern family from another.
using PatternRule = std::function<Pattern(const Extent&)>;
/// The same beside a number of side keys.
using SidePatternRule = std::function<Pattern(const Extent&, int64_t side_keys)>;

/// Patterns by extent; layers with one rule share a cache, so a pattern is built once for all of them.
class PatternCache {
 public:
  explicit PatternCache(const PatternRule& rule) : rule_([rule](const Extent& extent, int64_t) { return rule(extent); }) {}
  explicit PatternCache(SidePatternRule rule) : rule_(std::move(rule)) {}
  /// With `segments` tokens see only tokens of their own segment.
  const Pattern& get(const Extent& extent, bool segments, int64_t side_keys = 0) const;

 private:
  struct Entry {
    Extent extent;
    bool segments;
    int64_t side_keys;
    Pattern pattern;
  };
  SidePatternRule rule_;
  mutable std::vector<Entry> entries_;  // newest last, a few
};

struct SelfAttentionOptions {
  int64_t dim = 0;
  int64_t heads = 1, key_heads = 1, head_dim = 0;
  bool bias = true;
  bool rotary = false;
  double rotary_base = 10000;
  double dropout = 0;  // on attention weights
  double deviation = 0.02, out_deviation = 0.02;
  int layer = 0;

  static SelfAttentionOptions from(const BodyOptions& body, int layer);
  /// Dropout of attention weights in this step; `kind` keeps several attentions of one layer apart (its high bits).
  kernels::AttentionDropout dropout_of(uint32_t kind, const nn::StepContext& context) const;
};

/// [B, N] facts as [B, 1, N] for all heads; undefined stays undefined.
Tensor by_token(const Tensor& fact);

/// A fused projection [B, N, (H + 2 Hk) d] with its query and key heads turned where the positions are rotary.
Variable with_positions(const Variable& qkv, const SelfAttentionOptions& options, const SequenceInfo& sequence);

/// Multi-head self-attention over a pattern (Vaswani et al. 2017, section 3.2.2; grouped heads: Ainslie et al. 2023).
/// Parameters: qkv.weight [(H + 2 Hk) d, D], out.weight [D, H d], and biases.
class SelfAttention final : public Mixer {
 public:
  SelfAttention(const SelfAttentionOptions& options, std::shared_ptr<PatternCache> patterns, nn::Initializer& init);
  Variable forward(const Variable& hidden, const SequenceInfo& sequence, const nn::StepContext& context) const override;
  std::unique_ptr<MixerState> start(int64_t batch, int64_t capacity, const nn::StepContext& context) const override;
  Variable step(const Variable& hidden, MixerState& state, const SequenceInfo& sequence, const nn::StepContext& context) const override;

 private:
  Variable project(const Variable& hidden, const SequenceInfo& sequence) const;
  SelfAttentionOptions options_;
  std::shared_ptr<PatternCache> patterns_;
  nn::Linear qkv_, out_;
};

}  // namespace longhaul::models
