// defines: GlobalWindowAttention
#pragma once
#include <memory>

#include "framework/nn/layers.h"
#include "models/common/global_tokens.h"
#include "models/common/self_attention.h"
#include "models/longformer/pattern.h"

namespace longhaul::models {

/// Two-sided attention to a window and to global tokens (Beltagy et al. 2020, section 3.1).
///
///   local row i    softmax over {j : |i - j| <= w, j not global} and the global tokens together, with q, k, v of `qkv`
///   global row g   softmax over all tokens, with projections of its own
///
/// Rows of padding are zero before the output projection. Parameters: qkv.weight [3 H d, D], query_global.weight [H d, D],
/// key_value_global.weight [2 H d, D], out.weight [D, H d], and biases; without global tokens (GlobalChoice::kNone) the two of
/// the global rows are absent.
class GlobalWindowAttention final : public Mixer {
 public:
  /// `patterns` gives longformer_pattern of this layer's window.
  GlobalWindowAttention(const SelfAttentionOptions& options, const GlobalOptions& globals, std::shared_ptr<PatternCache> patterns, nn::Initializer& init);
  Variable forward(const Variable& hidden, const SequenceInfo& sequence, const nn::StepContext& context) const override;
  std::unique_ptr<MixerState> start(int64_t batch, int64_t capacity, const nn::StepContext& context) const override;
  Variable step(const Variable& hidden, MixerState& state, const SequenceInfo& sequence, const nn::StepContext& context) const override;

 private:
  /// Rows [B G, H d] of the global tokens.
  Variable global_rows(const Variable& hidden, const GlobalTokens& globals, const SequenceInfo& sequence, const nn::StepContext& context) const;

  SelfAttentionOptions options_;
  GlobalOptions globals_;
  std::shared_ptr<PatternCache> patterns_;
  PatternCache everything_;
  nn::Linear qkv_;
  std::unique_ptr<nn::Linear> query_global_, key_value_global_;
  nn::Linear out_;
};

}  // namespace longhaul::models
