#include <algorithm>

#include "framework/ops/shape.h"
#include "framework/ops/support.h"
#include "framework/pattern/builders.h"
#include "framework/tensor/memory.h"
#include "models/reformer/attention.h"

namespace longhaul::models {
namespace {

struct LshState final : MixerState {
  Tensor keys, values;  // [B, H, capacity, d]
  Tensor buckets;       // [B, H, R, capacity] i32
  bool select(std::span<const int64_t> rows) override {
    keys = gather_rows(keys, rows);
    values = gather_rows(values, rows);
    buckets = gather_rows(buckets, rows);
    return true;
  }
};

/// [B, n, H d] as [B, H, n, d].
Tensor by_head(const Tensor& rows, int64_t heads) { return rows.reshape({rows.size(0), rows.size(1), heads, rows.size(2) / heads}).permute({0, 2, 1, 3}); }

/// Keys and values that token `position` sees: all before it while they are fewer than `reach`, else the selected ones.
struct Seen {
  Tensor keys, values;  // [B, H, K, d]
};

Seen seen_by(const LshState& state, int64_t position, int64_t reach) {
  if (position < reach) return {state.keys.slice(2, 0, position), state.values.slice(2, 0, position)};
  const int64_t batch = state.keys.size(0), heads = state.keys.size(1), width = state.keys.size(3), kept = reach - 1;
  const Tensor rows = Tensor::empty({batch, heads, reach}, DType::kI32, state.keys.device());
  const auto& table = ops::table(state.keys);
  table.lsh.select(state.buckets, rows, {.position = position});
  // A token shares every bucket with itself and is the newest, so it stands first; it does not look at itself beside others.
  const Tensor others = Tensor::empty({batch, heads, kept}, DType::kI32, rows.device());
  table.elementwise.copy(rows.slice(2, 1, reach), others);
  Seen out{Tensor::empty({batch, heads, kept, width}, state.keys.dtype(), rows.device()), Tensor::empty({batch, heads, kept, width}, state.keys.dtype(), rows.device())};
  table.lsh.gather(state.keys, others, out.keys);
  table.lsh.gather(state.values, others, out.values);
  return out;
}

}  // namespace

std::unique_ptr<MixerState> LshAttention::start(int64_t batch, int64_t capacity, const nn::StepContext& context) const {
  const MemoryScope scope(MemoryFamily::kState);
  auto state = std::make_unique<LshState>();
  const Device device = out_.weight().device();
  const Shape shape{batch, options_.heads, capacity, options_.head_dim};
  state->keys = Tensor::empty(shape, context.compute, device);
  state->values = Tensor::empty(shape, context.compute, device);
  state->buckets = Tensor::zeros({batch, options_.heads, family_.eval_rounds, capacity}, DType::kI32, device);
  return state;
}

Variable LshAttention::step(const Variable& hidden, MixerState& state, const SequenceInfo& sequence, const nn::StepContext& context) const {
  auto& cache = static_cast<LshState&>(state);
  const int64_t seen = sequence.first_position, total = seen + sequence.length, capacity = cache.keys.size(2), heads = options_.heads;
  const Variable query = query_key_(hidden), value = value_(hidden);
  const Variable key = attention::unit_keys(query, heads);
  // One number of buckets for the whole cache, whatever is in it by now.
  const kernels::LshHash hash = hash_of(capacity);
  const Tensor buckets = attention::lsh_buckets(query.value(), rotations(hash, family_.eval_rounds, query, sequence, context), hash, {});
  const auto& copy = ops::table(query.value()).elementwise.copy;
  copy(by_head(key.value(), heads), cache.keys.slice(2, seen, total));
  copy(by_head(value.value(), heads), cache.values.slice(2, seen, total));
  copy(buckets, cache.buckets.slice(3, seen, total));
  if (seen == 0 && total <= reach()) return out_(attention::shared_query_key_attention(query, key, value, heads, true, {}, {}));
  if (seen == 0) {
    attention::LshOptions lsh{.pattern = patterns_->get(Extent::square(total), false), .chunks = family_.lsh_chunks(), .buckets = hash.buckets()};
    return out_(attention::lsh_attention(query, key, value, buckets, lsh, {}));
  }
  const Tensor rows = Tensor::empty(query.shape(), query.dtype(), query.device());  // [B, n, H d]
  const Tensor asks = by_head(query.value(), heads), answers = by_head(rows, heads);
  for (int64_t n = 0; n < sequence.length; ++n) {
    const Seen others = seen_by(cache, seen + n, reach());
    attention::AttentionSpec spec;
    spec.pattern = pattern::dense({1, others.keys.size(2), 0, 0});
    spec.scale = 1;
    const auto answer = attention::block_attention(Variable(asks.slice(2, n, n + 1)), Variable(others.keys), Variable(others.values), spec).out;  // [B, H, 1, d]
    copy(answer.value(), answers.slice(2, n, n + 1));
  }
  return out_(Variable(rows));
}

}  // namespace longhaul::models
