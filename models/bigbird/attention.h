// defines: BlockPatterns, BlockAttention
#pragma once
#include <memory>

#include "framework/nn/layers.h"
#include "models/common/self_attention.h"

namespace longhaul::models {

/// Patterns of one layer by sequence length; both may be one.
struct BlockPatterns {
  std::shared_ptr<const PatternCache> training, evaluation;
  int64_t whole_below = 0;  // sequences of at most so many tokens are seen whole
};

/// Two-sided multi-head attention over blocks (Zaheer et al. 2020, section 2). Rows of padding are zero before the output
/// projection. Attention dropout acts on sequences that are seen whole and not on blocks, as in the published code. Parameters:
/// qkv.weight [(H + 2 Hk) d, D], out.weight [D, H d], and biases.
class BlockAttention final : public Mixer {
 public:
  BlockAttention(const SelfAttentionOptions& options, BlockPatterns patterns, nn::Initializer& init);
  Variable forward(const Variable& hidden, const SequenceInfo& sequence, const nn::StepContext& context) const override;
  std::unique_ptr<MixerState> start(int64_t batch, int64_t capacity, const nn::StepContext& context) const override;
  Variable step(const Variable& hidden, MixerState& state, const SequenceInfo& sequence, const nn::StepContext& context) const override;

 private:
  SelfAttentionOptions options_;
  BlockPatterns patterns_;
  nn::Linear qkv_, out_;
};

}  // namespace longhaul::models
