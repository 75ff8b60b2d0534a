// defines: EncodedSource, CrossAttention
#pragma once
#include <memory>

#include "framework/nn/layers.h"
#include "models/common/mixer.h"
#include "models/common/self_attention.h"

namespace longhaul::models {

/// What a decoder sees of its source.
struct EncodedSource {
  Variable hidden;  // [B, M, D] in context.compute
  Tensor valid;     // [B, M] u8 or undefined; 0 = padding
};

/// Attention of decoder tokens to all tokens of the encoded source (Vaswani et al. 2017, section 3.2.3).
/// Parameters: query.weight [H d, D], key_value.weight [2 Hk d, D], out.weight [D, H d], and biases.
class CrossAttention final : public nn::Module {
 public:
  CrossAttention(const SelfAttentionOptions& options, nn::Initializer& init);
  /// hidden [B, N, D] -> [B, N, D].
  Variable forward(const Variable& hidden, const EncodedSource& source, const nn::StepContext& context) const;

  /// Keys and values of a source, [B, Hk, M, d] each: computed once for all decoded tokens.
  struct Projected {
    Variable key, value;
    Tensor valid;
  };
  Projected project(const EncodedSource& source) const;
  Variable attend(const Variable& hidden, const Projected& source, const nn::StepContext& context) const;

 private:
  SelfAttentionOptions options_;
  std::shared_ptr<PatternCache> patterns_;
  nn::Linear query_, key_value_, out_;
};

}  // namespace longhaul::models
