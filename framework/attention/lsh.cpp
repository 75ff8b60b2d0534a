#include "framework/attention/lsh.h"

#include <bit>
#include <cmath>
#include <memory>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "framework/ops/norm.h"
#include "framework/ops/shape.h"
#include "framework/ops/support.h"
#include "framework/pattern/builders.h"
#include "framework/tensor/memory.h"

namespace longhaul::attention {
namespace {

using kernels::AttentionGradients;
using kernels::AttentionOptions;

constexpr uint32_t kRoundStep = 65536;  // between the dropout layers of two rounds

/// [B, N, H d] as [B, H, N, d].
Tensor by_head(const Tensor& rows, int64_t heads) {
  return rows.reshape({rows.size(0), rows.size(1), heads, rows.size(2) / heads}).permute({0, 2, 1, 3});
}

Tensor fact(const Tensor& tensor) {
  return tensor.defined() ? tensor.reshape({tensor.size(0), 1, tensor.size(1)}) : Tensor();
}

/// The plan of a call: everything but the operands.
struct Plan {
  Pattern pattern;
  int64_t heads = 1, rounds = 1;
  bool sorted = false;
  Tensor buckets = {};  // [B, H, R, N]
  LshOptions options = {};
  LshFacts facts = {};
};

bool counts_once(const Pattern& pattern) { return (pattern.terms() & kFirstListing) != 0; }

/// What one round needs beside the operands, kept alive while its kernel runs.
struct Round {
  TokenFacts query, key, side;
  Tensor side_key, side_value;  // [B, H, S, d]
  AttentionOptions options;
};

/// The order of the tokens in every round.
struct Order {
  Tensor rows;    // [R, B, H, slots]
  Tensor chunks;  // [B, H, R, N], where keys count once
};

Order order_of(const Plan& plan) {
  if (!plan.sorted) return {};
  const MemoryScope scope(MemoryFamily::kWorkspace);
  const Shape& b = plan.buckets.shape();
  const Tensor rows = Tensor::empty({b[2], b[0], b[1], plan.pattern.query_rows()}, DType::kI32, plan.buckets.device());
  const Tensor starts = Tensor::empty({b[0], b[1], b[2], plan.options.buckets + 2}, DType::kI32, plan.buckets.device());
  const auto& lsh = ops::table(rows).lsh;
  lsh.sort(plan.buckets, rows, starts);
  if (!counts_once(plan.pattern)) return {rows, {}};
  const Tensor chunks = Tensor::empty(b, DType::kI32, plan.buckets.device());
  lsh.places(rows, chunks, plan.options.chunks.chunk);
  return {rows, chunks};
}

/// Tells both sides which listing of a pair is the first.
void tell_listings(const Plan& plan, const Tensor& chunks, int64_t round, AttentionOptions& options) {
  const int64_t heads = chunks.size(1), rounds = chunks.size(2), length = chunks.size(3), slots = plan.pattern.query_rows(), chunk = plan.options.chunks.chunk;
  Listing listing;
  listing.rounds = static_cast<int32_t>(rounds), listing.round = static_cast<int32_t>(round);
  listing.before = static_cast<int32_t>(plan.options.chunks.before), listing.after = static_cast<int32_t>(plan.options.chunks.after);
  listing.chunks = static_cast<int32_t>(rounds * slots / chunk);
  listing.slots = slots, listing.front = plan.options.chunks.before * chunk, listing.stride = length;
  TokenField<int32_t> field;
  field.data = chunks.device().is_meta() ? nullptr : chunks.data<int32_t>();
  field.head_stride = rounds * length, field.batch_stride = heads * rounds * length;
  for (TokenInfo* info : {&options.query_info, &options.key_info, &options.side_info}) info->chunk = field, info->listing = listing;
}

std::unique_ptr<Round> make_round(const Plan& plan, const Order& order, int64_t round, const Tensor& query,
                                  const Tensor& key, const Tensor& value) {
  const MemoryScope scope(MemoryFamily::kWorkspace);
  auto out = std::make_unique<Round>();
  const int64_t batch = query.size(0), heads = query.size(1), length = query.size(2), sides = plan.pattern.side_keys();
  const Device device = query.device();
  out->key.valid = fact(plan.facts.valid);
  out->query.segment = out->key.segment = fact(plan.facts.documents);
  int64_t slots = length;
  if (plan.sorted) {
    slots = plan.pattern.query_rows();
    out->query.rows = out->key.rows = order.rows.slice(0, round, round + 1).reshape({batch, heads, slots});
  }
  if (sides > 0) {
    const Shape places{batch, heads, sides};
    out->side.position = Tensor::empty(places, DType::kI32, device);
    out->side.valid = Tensor::empty(places, DType::kU8, device);
    if (plan.facts.documents.defined()) out->side.segment = Tensor::empty(places, DType::kI32, device);
    out->side_key = Tensor::empty({batch, heads, sides, key.size(3)}, key.dtype(), device);
    out->side_value = Tensor::empty({batch, heads, sides, value.size(3)}, value.dtype(), device);
    const auto& lsh = ops::table(query).lsh;
    lsh.neighbours(order.rows, view_or_absent(plan.facts.valid), view_or_absent(plan.facts.documents), out->side.position,
                   out->side.valid, view_or_absent(out->side.segment),
                   {.round = round,
                    .before = plan.options.chunks.before * plan.options.chunks.chunk,
                    .after = plan.options.chunks.after * plan.options.chunks.chunk});
    lsh.gather(key, out->side.position, out->side_key);
    lsh.gather(value, out->side.position, out->side_value);
    out->options.side_info = token_info(out->side, batch, heads, sides, sides);
    out->options.side_key = out->side_key;
    out->options.side_value = out->side_value;
  }
  out->options.pattern = &plan.pattern;
  out->options.query_info = token_info(out->query, batch, heads, length, slots);
  out->options.key_info = token_info(out->key, batch, heads, length, slots);
  if (order.chunks.defined()) tell_listings(plan, order.chunks, round, out->options);
  out->options.scale = 1;
  out->options.dropout = plan.options.dropout;
  out->options.dropout.stream.layer += static_cast<uint32_t>(round) * kRoundStep;
  return out;
}

Tensor workspace(const Plan& plan, const Tensor& query, const Tensor& key, const Tensor& value, bool backward) {
  const MemoryScope scope(MemoryFamily::kWorkspace);
  const auto shape = kernels::attention_shape(query, key, value, plan.pattern);
  return Tensor::empty({kernels::attention_workspace_bytes(shape, backward, thread_count())}, DType::kU8,
                       query.device());
}

/// out [B, H, N, d], strided, and lse [B, H, N]: all rounds joined, rows that saw nothing not yet filled in.
void forward(const Plan& plan, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& out,
             const Tensor& lse, Tensor* round_lse) {
  const Order order = order_of(plan);
  const auto& kernels = ops::table(query);
  const auto run = [&](int64_t round, const Tensor& to, const Tensor& to_lse) {
    const auto parts = make_round(plan, order, round, query, key, value);
    kernels.attention.forward(query, key, value, to, to_lse, workspace(plan, query, key, value, false), parts->options);
    if (round_lse)
      kernels.elementwise.copy(to_lse.reshape({to_lse.size(0), to_lse.size(1), 1, to_lse.size(2)}),
                               round_lse->slice(2, round, round + 1));
  };
  if (plan.rounds == 1) return run(0, out, lse);
  const MemoryScope scope(MemoryFamily::kWorkspace);
  const DType precise = ops::statistics_dtype(query.dtype());
  const Shape rows_first{out.size(0), out.size(2), out.size(1) * out.size(3)};
  const bool direct = out.dtype() == precise;
  const Tensor sum = direct ? out : by_head(Tensor::empty(rows_first, precise, out.device()), plan.heads);
  const Tensor part = by_head(Tensor::empty(rows_first, precise, out.device()), plan.heads), part_lse = ops::like(lse);
  run(0, sum, lse);
  for (int64_t round = 1; round < plan.rounds; ++round) {
    run(round, part, part_lse);
    kernels.merge.add(part, part_lse, sum, lse);
  }
  if (!direct) kernels.elementwise.copy(sum, out);
}

/// Gradients of one projection: sums over rounds, [B, N, H d].
struct Sums {
  Tensor query, key, value;
};

Sums backward(const Plan& plan, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& out,
              const Tensor& lse, const Tensor& dout) {
  const auto& kernels = ops::table(query);
  const Order order = order_of(plan);
  const int64_t sides = plan.pattern.side_keys();
  const bool direct = plan.rounds == 1 && sides == 0;
  const DType dtype = direct ? query.dtype() : ops::statistics_dtype(query.dtype());
  const Shape shape{query.size(0), query.size(2), query.size(1) * query.size(3)};
  const auto make = [&] {
    return Sums{Tensor::empty(shape, dtype, query.device()), Tensor::empty(shape, dtype, query.device()),
                Tensor::empty(shape, dtype, query.device())};
  };
  const Sums sums = make();
  const MemoryScope scope(MemoryFamily::kWorkspace);
  const Sums parts = plan.rounds > 1 ? make() : Sums{};
  for (int64_t round = 0; round < plan.rounds; ++round) {
    const Sums& to = round == 0 ? sums : parts;
    const auto part = make_round(plan, order, round, query, key, value);
    AttentionGradients extra;
    Tensor dside_key, dside_value;
    if (sides > 0) {
      dside_key = ops::like(part->side_key), dside_value = ops::like(part->side_value);
      extra.side_key = dside_key, extra.side_value = dside_value;
    }
    kernels.attention.backward(query, key, value, out, lse, dout, absent(), by_head(to.query, plan.heads),
                               by_head(to.key, plan.heads), by_head(to.value, plan.heads), extra,
                               workspace(plan, query, key, value, true), part->options);
    if (round > 0) {
      kernels.elementwise.axpby(parts.query, sums.query, 1.0f, 1.0f);
      kernels.elementwise.axpby(parts.key, sums.key, 1.0f, 1.0f);
      kernels.elementwise.axpby(parts.value, sums.value, 1.0f, 1.0f);
    }
    if (sides > 0) {
      kernels.lsh.scatter_add(dside_key, part->side.position, by_head(sums.key, plan.heads));
      kernels.lsh.scatter_add(dside_value, part->side.position, by_head(sums.value, plan.heads));
    }
  }
  return sums;
}

void check_operands(const char* name, const Variable& query, const Variable& key, const Variable& value,
                    int64_t heads) {
  check<ShapeError>(query.value().rank() == 3 && query.shape() == key.shape() && key.shape() == value.shape() &&
                        query.dtype() == key.dtype() && key.dtype() == value.dtype() && heads > 0 &&
                        query.size(2) % heads == 0,
                    "[{}] query {} {}, key {} {} and value {} {} must be alike, [B, N, {} d]", name, query.dtype(),
                    query.shape(), key.dtype(), key.shape(), value.dtype(), value.shape(), heads);
}

Variable run(const Variable& query, const Variable& key, const Variable& value, Plan plan, Tensor* round_lse) {
  const int64_t batch = query.size(0), length = query.size(1), heads = plan.heads;
  const Tensor out = ops::like(query.value());
  const Tensor lse = Tensor::empty({batch, heads, length}, ops::statistics_dtype(query.dtype()), query.device());
  const Tensor q = by_head(query.value(), heads), k = by_head(key.value(), heads), v = by_head(value.value(), heads);
  const kernels::LshOwn own{.dropout = plan.options.dropout, .side_keys = plan.pattern.side_keys()};
  forward(plan, q, k, v, by_head(out, heads), lse, round_lse);
  ops::table(out).lsh.own(v, lse, by_head(out, heads), own);
  return record("lsh_attention", out, {query, key, value},
                [plan = std::move(plan), q, k, v, out, lse, own](const BackwardContext& context) {
                  const Tensor dout = by_head(ops::dense(context.gradient()), plan.heads);
                  const Sums d = backward(plan, q, k, v, by_head(out, plan.heads), lse, dout);
                  ops::table(out).lsh.own_backward(dout, lse, by_head(d.value, plan.heads), own);
                  const Tensor* all[] = {&d.query, &d.key, &d.value};
                  for (int i = 0; i < 3; ++i) {
                    if (context.needs(i)) context.give(i, *all[i]);
                  }
                });
}

}  // namespace

std::vector<int64_t> automatic_buckets(int64_t length, int64_t chunk, int64_t longest) {
  const int64_t most = std::max<int64_t>(2 * (length / chunk), 2);
  const int power = std::bit_width(static_cast<uint64_t>(most)) - 1;
  const int64_t buckets = int64_t{1} << power;
  const int64_t limit = 2 * std::max(static_cast<int64_t>(std::sqrt(static_cast<double>(longest / chunk))), chunk);
  if (buckets <= limit || power < 2) return {buckets};
  return {int64_t{1} << power / 2, int64_t{1} << (power - power / 2)};
}

Tensor lsh_rotations(int64_t heads, int64_t head_dim, int64_t rounds, const kernels::LshHash& hash,
                     const RandomStream& stream, DType dtype, Device device) {
  const MemoryScope scope(MemoryFamily::kWorkspace);
  const Tensor rotations =
      Tensor::empty({heads, head_dim, rounds, hash.columns()}, ops::statistics_dtype(dtype), device);
  ops::table(rotations).lsh.rotations(rotations, stream);
  return rotations;
}

Tensor lsh_buckets(const Tensor& query, const Tensor& rotations, const kernels::LshHash& hash, const Tensor& valid) {
  check<ShapeError>(!hash.factors.empty(), "[lsh] the number of buckets has no factors");
  for (const int64_t factor : hash.factors)
    check<ShapeError>(factor >= 2 && factor % 2 == 0,
                      "[lsh] a factor of the number of buckets is {}; each is an even number: half of it are "
                      "rotations, half their opposites",
                      factor);
  check<ShapeError>(
      query.rank() == 3 && rotations.rank() == 4 && rotations.size(0) * rotations.size(1) == query.size(2) &&
          rotations.size(2) >= 1 && rotations.size(3) == hash.columns(),
      "[lsh] rotations {} do not fit queries {} and {} buckets: expected [H, d, rounds, {}] with H d = {}",
      rotations.shape(), query.shape(), hash.buckets(), hash.columns(), query.rank() == 3 ? query.size(2) : 0);
  check<ShapeError>(rotations.dtype() == ops::statistics_dtype(query.dtype()) && rotations.contiguous(),
                    "[lsh] rotations of {} queries are {}, received {}", query.dtype(),
                    ops::statistics_dtype(query.dtype()), rotations.dtype());
  const int64_t heads = rotations.size(0);
  const Tensor buckets =
      Tensor::empty({query.size(0), heads, rotations.size(2), query.size(1)}, DType::kI32, query.device());
  ops::table(query).lsh.buckets(by_head(query, heads), rotations, view_or_absent(valid), buckets, hash);
  return buckets;
}

Variable lsh_attention(const Variable& query, const Variable& key, const Variable& value, const Tensor& buckets,
                       const LshOptions& options, const LshFacts& facts, Tensor* round_lse) {
  check<ShapeError>(
      buckets.rank() == 4 && buckets.dtype() == DType::kI32 && buckets.contiguous() && buckets.size(2) >= 1,
      "[lsh_attention] buckets must be [B, H, rounds, N] i32, received {} {}", buckets.dtype(), buckets.shape());
  check_operands("lsh_attention", query, key, value, buckets.size(1));
  check<ShapeError>(buckets.size(0) == query.size(0) && buckets.size(3) == query.size(1),
                    "[lsh_attention] buckets {} do not fit query {}", buckets.shape(), query.shape());
  check<ShapeError>(
      options.pattern.defined() && options.pattern.order_is_data() && options.pattern.queries() == query.size(1) &&
          options.pattern.side_keys() == (options.chunks.before + options.chunks.after) * options.chunks.chunk,
      "[lsh_attention] the pattern is not pattern::sorted_chunks of {} tokens in chunks of {}", query.size(1),
      options.chunks.chunk);
  const int64_t chunks = buckets.size(2) * options.pattern.query_rows() / options.chunks.chunk;
  if (counts_once(options.pattern) && options.chunks.before + options.chunks.after >= chunks - 1 && !round_lse)
    return shared_query_key_attention(query, key, value, buckets.size(1), options.chunks.causal, options.dropout, facts);
  Plan plan{.pattern = options.pattern,
            .heads = buckets.size(1),
            .rounds = buckets.size(2),
            .sorted = true,
            .buckets = buckets,
            .options = options,
            .facts = facts};
  if (round_lse) *round_lse = Tensor::empty(buckets.shape(), ops::statistics_dtype(query.dtype()), query.device());
  return run(query, key, value, std::move(plan), round_lse);
}

Variable shared_query_key_attention(const Variable& query, const Variable& key, const Variable& value, int64_t heads,
                                    bool causal, const kernels::AttentionDropout& dropout, const LshFacts& facts) {
  check_operands("shared_query_key_attention", query, key, value, heads);
  const Pattern pattern = pattern::others(Extent::square(query.size(1)), causal);
  Plan plan{.pattern = facts.documents.defined() ? pattern::within_segments(pattern) : pattern,
            .heads = heads,
            .options = {.dropout = dropout},
            .facts = facts};
  return run(query, key, value, std::move(plan), nullptr);
}

Variable unit_keys(const Variable& query, int64_t heads) {
  const int64_t head_dim = query.size(2) / heads;
  const Tensor factor = Tensor::empty({head_dim}, ops::statistics_dtype(query.dtype()), query.device());
  ops::table(factor).elementwise.fill(factor, 1 / std::sqrt(static_cast<double>(head_dim)));
  const Variable rows = ops::reshape(query, {query.size(0), query.size(1), heads, head_dim});
  const Variable keys = ops::normalize(rows, Variable(factor), {}, {.eps = 1e-6f, .rms = true}, query.dtype());
  return ops::reshape(keys, {query.size(0), query.size(1), query.size(2)});
}

}  // namespace longhaul::attention
