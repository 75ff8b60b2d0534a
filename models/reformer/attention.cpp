#include "models/reformer/attention.h"

#include <algorithm>

#include "framework/ops/shape.h"
#include "framework/ops/support.h"
#include "framework/pattern/builders.h"
#include "framework/tensor/memory.h"
#include "models/reformer/coverage.h"

namespace longhaul::models {

LshAttention::LshAttention(const SelfAttentionOptions& o, const ReformerOptions& family, std::shared_ptr<PatternCache> patterns, nn::Initializer& init)
    : options_(o),
      family_(family),
      patterns_(std::move(patterns)),
      query_key_(o.dim, o.heads * o.head_dim, o.bias, o.deviation, init),
      value_(o.dim, o.heads * o.head_dim, o.bias, o.deviation, init),
      out_(o.heads * o.head_dim, o.dim, o.bias, o.out_deviation, init) {
  options_.dropout = family.lsh_attention_dropout;
  add("query_key", query_key_);
  add("value", value_);
  add("out", out_);
}

Tensor LshAttention::rotations(const kernels::LshHash& hash, int64_t rounds, const Variable& query, const SequenceInfo& sequence, const nn::StepContext& context) const {
  if (sequence.selections) {
    const Tensor& given = Selections::of(sequence.selections->rotations, options_.layer);
    if (given.defined()) return given;
  }
  nn::StepContext drawn;  // of an evaluation
  if (context.training) drawn = context;
  return attention::lsh_rotations(options_.heads, options_.head_dim, rounds, hash, drawn.stream(static_cast<uint32_t>(options_.layer), RandomPurpose::kHashRotation), query.dtype(), query.device());
}

Tensor LshAttention::buckets(const Variable& query, const SequenceInfo& sequence, const nn::StepContext& context) const {
  Tensor& chosen = Selections::of(sequence.selections->buckets, options_.layer);
  if (!chosen.defined()) {
    const kernels::LshHash hash = hash_of(sequence.length);
    chosen = attention::lsh_buckets(query.value(), rotations(hash, context.training ? family_.rounds : family_.eval_rounds, query, sequence, context), hash, sequence.valid);
  }
  return chosen;
}

Variable LshAttention::mixed(const Variable& query, const Variable& key, const Variable& value, const Tensor& buckets, const SequenceInfo& sequence, const nn::StepContext& context, Tensor* round_lse) const {
  attention::LshOptions lsh;
  lsh.pattern = patterns_->get(Extent::square(sequence.length), sequence.documents.defined());
  lsh.chunks = family_.lsh_chunks();
  lsh.buckets = hash_of(sequence.length).buckets();
  lsh.dropout = options_.dropout_of(0, context);
  return attention::lsh_attention(query, key, value, buckets, lsh, {sequence.valid, sequence.documents}, round_lse);
}

Tensor LshAttention::round_lse(const Variable& hidden, const SequenceInfo& sequence, const nn::StepContext& context) const {
  const Variable query = query_key_(hidden);
  Tensor out;
  mixed(query, attention::unit_keys(query, options_.heads), value_(hidden), buckets(query, sequence, context), sequence, context, &out);
  for (int64_t i = 0; out.device().is_host() && i < out.elements(); ++i) {
    if (out.dtype() == DType::kF64) {
      out.data<double>()[i] = std::max<double>(out.data<double>()[i], kLastResortScore);
    } else {
      out.data<float>()[i] = std::max(out.data<float>()[i], kLastResortScore);
    }
  }
  return out;
}

Variable LshAttention::forward(const Variable& hidden, const SequenceInfo& sequence, const nn::StepContext& context) const {
  const Variable query = query_key_(hidden), value = value_(hidden);
  const Variable key = attention::unit_keys(query, options_.heads);
  if (sequence.length <= family_.lsh_chunk)
    return out_(attention::shared_query_key_attention(query, key, value, options_.heads, family_.causal(), options_.dropout_of(0, context), {sequence.valid, sequence.documents}));
  const Tensor chosen = buckets(query, sequence, context);
  if (context.gauges) measure_selection({query.value(), key.value(), chosen, sequence.valid, sequence.documents}, family_.lsh_chunks(), hash_of(sequence.length).buckets(), *context.gauges);
  return out_(mixed(query, key, value, chosen, sequence, context));
}

}  // namespace longhaul::models
