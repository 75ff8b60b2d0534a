#include "models/bigbird/attention.h"

#include "framework/base/error.h"

namespace longhaul::models {

BlockAttention::BlockAttention(const SelfAttentionOptions& o, BlockPatterns patterns, nn::Initializer& init)
    : options_(o),
      patterns_(std::move(patterns)),
      qkv_(o.dim, (o.heads + 2 * o.key_heads) * o.head_dim, o.bias, o.deviation, init),
      out_(o.heads * o.head_dim, o.dim, o.bias, o.out_deviation, init) {
  add("qkv", qkv_);
  add("out", out_);
}

Variable BlockAttention::forward(const Variable& hidden, const SequenceInfo& sequence, const nn::StepContext& context) const {
  const PatternCache& patterns = context.training ? *patterns_.training : *patterns_.evaluation;
  attention::AttentionSpec spec;
  spec.pattern = patterns.get(Extent::square(sequence.length), sequence.documents.defined());
  spec.query.segment = spec.key.segment = by_token(sequence.documents);
  spec.query.valid = spec.key.valid = by_token(sequence.valid);
  if (sequence.length <= patterns_.whole_below) spec.dropout = options_.dropout_of(0, context);
  return out_(attention::self_attention(with_positions(qkv_(hidden), options_, sequence), options_.heads, options_.key_heads, spec));
}

std::unique_ptr<MixerState> BlockAttention::start(int64_t, int64_t, const nn::StepContext&) const {
  fail<ConfigError>("[bigbird] two-sided blocks do not generate from left to right");
}

Variable BlockAttention::step(const Variable&, MixerState&, const SequenceInfo&, const nn::StepContext&) const {
  fail<InternalError>("a two-sided layer was asked for a step");
}

}  // namespace longhaul::models
