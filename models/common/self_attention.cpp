#include "models/common/self_attention.h"

#include <cmath>

#include "framework/ops/rotary.h"
#include "framework/ops/shape.h"
#include "framework/ops/support.h"
#include "framework/pattern/builders.h"
#include "framework/tensor/memory.h"

namespace longhaul::models {
namespace {

constexpr size_t kCachedPatterns = 8;

/// Keys and values of the tokens seen so far.
struct KeyValueState final : MixerState {
  Tensor keys, values;  // [B, Hk, capacity, d]
  bool select(std::span<const int64_t> rows) override {
    keys = gather_rows(keys, rows);
    values = gather_rows(values, rows);
    return true;
  }
};

}  // namespace

Tensor gather_rows(const Tensor& x, std::span<const int64_t> rows) {
  const MemoryScope scope(MemoryFamily::kState);
  std::vector<int64_t> sizes(x.shape().sizes().begin(), x.shape().sizes().end());
  sizes[0] = static_cast<int64_t>(rows.size());
  const Tensor out = Tensor::empty(Shape(std::span<const int64_t>(sizes)), x.dtype(), x.device());
  for (size_t r = 0; r < rows.size(); ++r) {
    const auto to = static_cast<int64_t>(r);
    ops::table(x).elementwise.copy(x.slice(0, rows[r], rows[r] + 1), out.slice(0, to, to + 1));
  }
  return out;
}

Tensor by_token(const Tensor& fact) { return fact.defined() ? fact.reshape({fact.size(0), 1, fact.size(1)}) : Tensor(); }

const Pattern& PatternCache::get(const Extent& extent, bool segments, int64_t side_keys) const {
  for (const Entry& entry : entries_) {
    if (entry.extent == extent && entry.segments == segments && entry.side_keys == side_keys) return entry.pattern;
  }
  if (entries_.size() == kCachedPatterns) entries_.erase(entries_.begin());
  const Pattern pattern = rule_(extent, side_keys);
  entries_.push_back({extent, segments, side_keys, segments ? pattern::within_segments(pattern) : pattern});
  return entries_.back().pattern;
}

SelfAttentionOptions SelfAttentionOptions::from(const BodyOptions& body, int layer) {
  return {.dim = body.dim,
          .heads = body.heads,
          .key_heads = body.kv_heads,
          .head_dim = body.head_dim,
          .bias = body.bias && body.attention_bias,
          .rotary = body.positions == Positions::kRotary,
          .rotary_base = body.rotary_base,
          .dropout = body.attention_dropout,
          .deviation = body.init_std,
          // Projections into the residual stream start smaller, as in Radford et al. 2019, section 2.3.
          .out_deviation = body.init_std / std::sqrt(2.0 * body.layers),
          .layer = layer};
}

kernels::AttentionDropout SelfAttentionOptions::dropout_of(uint32_t kind, const nn::StepContext& context) const {
  if (!context.training || dropout == 0) return {};
  return {.stream = context.stream(static_cast<uint32_t>(layer) | kind, RandomPurpose::kAttentionDropout), .probability = dropout, .first_row = static_cast<uint64_t>(context.first_row)};
}

SelfAttention::SelfAttention(const SelfAttentionOptions& o, std::shared_ptr<PatternCache> patterns, nn::Initializer& init)
    : options_(o),
      patterns_(std::move(patterns)),
      qkv_(o.dim, (o.heads + 2 * o.key_heads) * o.head_dim, o.bias, o.deviation, init),
      out_(o.heads * o.head_dim, o.dim, o.bias, o.out_deviation, init) {
  add("qkv", qkv_);
  add("out", out_);
}

Variable with_positions(const Variable& qkv, const SelfAttentionOptions& o, const SequenceInfo& sequence) {
  if (!o.rotary) return qkv;
  const int64_t heads = o.heads + 2 * o.key_heads;
  const Variable by_head = ops::reshape(qkv, {sequence.batch, sequence.length, heads, o.head_dim});
  const Variable turned = ops::rotary(by_head, sequence.positions, 0, o.heads + o.key_heads, o.rotary_base);
  return ops::reshape(turned, {sequence.batch, sequence.length, heads * o.head_dim});
}

Variable SelfAttention::project(const Variable& hidden, const SequenceInfo& sequence) const { return with_positions(qkv_(hidden), options_, sequence); }

Variable SelfAttention::forward(const Variable& hidden, const SequenceInfo& sequence, const nn::StepContext& context) const {
  attention::AttentionSpec spec;
  spec.pattern = patterns_->get(Extent::square(sequence.length), sequence.documents.defined());
  spec.query.segment = spec.key.segment = by_token(sequence.documents);
  spec.key.valid = by_token(sequence.valid);
  spec.dropout = options_.dropout_of(0, context);
  return out_(attention::self_attention(project(hidden, sequence), options_.heads, options_.key_heads, spec));
}

std::unique_ptr<MixerState> SelfAttention::start(int64_t batch, int64_t capacity, const nn::StepContext& context) const {
  const MemoryScope scope(MemoryFamily::kState);
  auto state = std::make_unique<KeyValueState>();
  const Shape shape{batch, options_.key_heads, capacity, options_.head_dim};
  state->keys = Tensor::empty(shape, context.compute, qkv_.weight().device());
  state->values = Tensor::empty(shape, context.compute, qkv_.weight().device());
  return state;
}

Variable SelfAttention::step(const Variable& hidden, MixerState& state, const SequenceInfo& sequence, const nn::StepContext&) const {
  auto& cache = static_cast<KeyValueState&>(state);
  const int64_t seen = sequence.first_position, total = seen + sequence.length;
  const Variable qkv = project(hidden, sequence);
  const attention::FusedParts parts = attention::split_fused(qkv.value(), options_.heads, options_.key_heads);
  const auto& copy = ops::table(qkv.value()).elementwise.copy;
  copy(parts.key, cache.keys.slice(2, seen, total));
  copy(parts.value, cache.values.slice(2, seen, total));
  attention::AttentionSpec spec;
  spec.pattern = patterns_->get(Extent::decode(sequence.length, total), false);
  const auto mixed = attention::block_attention(Variable(parts.query), Variable(cache.keys.slice(2, 0, total)), Variable(cache.values.slice(2, 0, total)), spec).out;
  const Variable rows = ops::permute(mixed, {0, 2, 1, 3});  // [B, n, H, d]
  return out_(ops::reshape(rows, {sequence.batch, sequence.length, options_.heads * options_.head_dim}));
}

}  // namespace longhaul::models
