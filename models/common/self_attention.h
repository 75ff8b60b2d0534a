// defines: PatternRule, PatternCache, SelfAttentionOptions, SelfAttention
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

/// Patterns by extent; layers with one rule share a cache, so a pattern is built once for all of them.
class PatternCache {
 public:
  explicit PatternCache(PatternRule rule) : rule_(std::move(rule)) {}
  /// With `segments` tokens see only tokens of their own segment.
  const Pattern& get(const Extent& extent, bool segments);

 private:
  struct Entry {
    Extent extent;
    bool segments;
    Pattern pattern;
  };
  PatternRule rule_;
  std::vector<Entry> entries_;  // newest last, a few
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
};

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
