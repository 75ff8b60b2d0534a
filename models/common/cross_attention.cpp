#include "models/common/cross_attention.h"

#include "framework/attention/block_attention.h"
#include "framework/ops/shape.h"
#include "framework/pattern/builders.h"

namespace longhaul::models {
namespace {

/// [B, N, heads d] -> [B, heads, N, d]
Variable by_head(const Variable& x, int64_t heads, int64_t head_dim) {
  return ops::permute(ops::reshape(x, {x.size(0), x.size(1), heads, head_dim}), {0, 2, 1, 3});
}

}  // namespace

CrossAttention::CrossAttention(const SelfAttentionOptions& o, nn::Initializer& init)
    : options_(o),
      patterns_(std::make_shared<PatternCache>(pattern::dense)),
      query_(o.dim, o.heads * o.head_dim, o.bias, o.deviation, init),
      key_value_(o.dim, 2 * o.key_heads * o.head_dim, o.bias, o.deviation, init),
      out_(o.heads * o.head_dim, o.dim, o.bias, o.out_deviation, init) {
  add("query", query_);
  add("key_value", key_value_);
  add("out", out_);
}

CrossAttention::Projected CrossAttention::project(const EncodedSource& source) const {
  const Variable both = by_head(key_value_(source.hidden), 2 * options_.key_heads, options_.head_dim);  // [B, 2 Hk, M, d]
  return {ops::slice(both, 1, 0, options_.key_heads), ops::slice(both, 1, options_.key_heads, 2 * options_.key_heads), source.valid};
}

Variable CrossAttention::attend(const Variable& hidden, const Projected& source, const nn::StepContext& context) const {
  attention::AttentionSpec spec;
  spec.pattern = patterns_->get({hidden.size(1), source.key.size(2), 0, 0}, false);
  if (source.valid.defined()) spec.key.valid = source.valid.reshape({source.valid.size(0), 1, source.valid.size(1)});
  // The second half of the layer numbers, so that self and cross attention of one layer draw different numbers.
  spec.dropout = options_.dropout_of(0x80000000u, context);
  const Variable mixed = attention::block_attention(by_head(query_(hidden), options_.heads, options_.head_dim), source.key, source.value, spec).out;
  return out_(ops::reshape(ops::permute(mixed, {0, 2, 1, 3}), {hidden.size(0), hidden.size(1), options_.heads * options_.head_dim}));
}

Variable CrossAttention::forward(const Variable& hidden, const EncodedSource& source, const nn::StepContext& context) const { return attend(hidden, project(source), context); }

}  // namespace longhaul::models
