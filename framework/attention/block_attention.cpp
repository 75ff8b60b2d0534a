#include "framework/attention/block_attention.h"

#include <cmath>

#include "framework/attention/kernel_call.h"
#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "framework/ops/support.h"
#include "framework/tensor/memory.h"

namespace longhaul::attention {
namespace {

using kernels::AttentionGradients;
using kernels::AttentionOptions;

template <typename T>
TokenField<T> field(const Tensor& fact, const char* name, int64_t batch, int64_t heads, int64_t rows) {
  if (!fact.defined()) return {};
  check<ShapeError>(fact.rank() == 3 && fact.contiguous() && (fact.size(0) == 1 || fact.size(0) == batch) && (fact.size(1) == 1 || fact.size(1) == heads) && fact.size(2) == rows,
                    "[block_attention] token fact {} has shape {}, expected [1 or {}, 1 or {}, {}]", name, fact.shape(), batch, heads, rows);
  TokenField<T> out;
  out.data = fact.device().is_meta() ? nullptr : fact.data<T>();
  out.head_stride = fact.size(1) == 1 ? 0 : rows;
  out.batch_stride = fact.size(0) == 1 ? 0 : fact.size(1) * rows;
  return out;
}

}  // namespace

TokenInfo token_info(const TokenFacts& facts, int64_t batch, int64_t heads, int64_t rows, int64_t tile_rows) {
  TokenInfo out;
  out.position = field<int32_t>(facts.position, "position", batch, heads, rows);
  out.segment = field<int32_t>(facts.segment, "segment", batch, heads, rows);
  out.bucket = field<int32_t>(facts.bucket, "bucket", batch, heads, rows);
  out.global = field<uint8_t>(facts.global, "global", batch, heads, rows);
  out.valid = field<uint8_t>(facts.valid, "valid", batch, heads, rows);
  out.rows = field<int32_t>(facts.rows, "rows", batch, heads, tile_rows);
  return out;
}

void check_operands(const Operands& o, const AttentionSpec& spec) {
  const Shape &q = o.query.shape(), &k = o.key.shape(), &v = o.value.shape();
  check<ShapeError>(q.rank() == 4 && k.rank() == 4 && v.rank() == 4, "[block_attention] operands must be [B, H, N, d]: query {}, key {}, value {}", q, k, v);
  check<ShapeError>(k[1] == v[1], "[block_attention] key has {} heads but value has {}: key {}, value {}\n  hint: for grouped heads pass key and value with the same, smaller head count", k[1], v[1], k, v);
  check<ShapeError>(k[1] > 0 && q[1] % k[1] == 0, "[block_attention] {} key heads do not divide {} query heads", k[1], q[1]);
  check<ShapeError>(q[0] == k[0] && k[0] == v[0] && k[2] == v[2] && q[3] == k[3], "[block_attention] shapes do not fit: query {}, key {}, value {}", q, k, v);
  check<ShapeError>(o.query.dtype() == o.key.dtype() && o.key.dtype() == o.value.dtype(), "[block_attention] dtypes differ: query {}, key {}, value {}", o.query.dtype(), o.key.dtype(), o.value.dtype());
  check<ShapeError>(spec.pattern.defined() && spec.pattern.queries() == q[2] && spec.pattern.keys() == k[2], "[block_attention] the pattern is for {} queries and {} keys, received query {}, key {}",
                    spec.pattern.defined() ? spec.pattern.queries() : 0, spec.pattern.defined() ? spec.pattern.keys() : 0, q, k);
  check<ShapeError>(spec.pattern.layouts() == 1 || spec.pattern.layouts() == q[1], "[block_attention] the pattern has {} layouts for {} heads", spec.pattern.layouts(), q[1]);
  const auto shape_of = [](const Variable& x) { return x.defined() ? x.shape() : Shape{}; };
  const Shape rq = shape_of(spec.relative_query), rk = shape_of(spec.relative_key), rb = shape_of(spec.relative_bias);
  check<ShapeError>(spec.relative_query.defined() == spec.relative_key.defined() && (rq.rank() == 0 || (rq.rank() == 4 && rq[0] == q[0] && rq[1] == q[1] && rq[2] == q[2] && rk.rank() == 3 && rk[0] == q[1] && rk[1] > 0 && rk[2] == rq[3])),
                    "[block_attention] relative query {} and key {} do not fit query {}: expected [B, H, Nq, d_r] and [H, distances, d_r]", rq, rk, q);
  check<ShapeError>(rb.rank() == 0 || (rb.rank() == 2 && rb[0] == q[1] && rb[1] > 0 && (rk.rank() == 0 || rb[1] == rk[1])), "[block_attention] relative bias {} does not fit query {} and relative key {}: expected [H, distances]", rb, q, rk);
  const int64_t side = spec.side_key.defined() ? spec.side_key.size(2) : 0;
  check<ShapeError>(side == spec.pattern.side_keys(), "[block_attention] the pattern has {} side keys, received {}", spec.pattern.side_keys(), side);
}

namespace {

AttentionOptions options_for(const Operands& o, const AttentionSpec& spec) {
  const int64_t batch = o.query.size(0), heads = o.query.size(1), key_heads = o.key.size(1);
  const auto tile_rows = [](const TokenFacts& facts, int64_t rows) { return facts.rows.defined() ? facts.rows.size(2) : rows; };
  AttentionOptions options;
  options.pattern = &spec.pattern;
  options.query_info = token_info(spec.query, batch, heads, o.query.size(2), tile_rows(spec.query, o.query.size(2)));
  options.key_info = token_info(spec.key, batch, heads, o.key.size(2), tile_rows(spec.key, o.key.size(2)));
  if (spec.side_key.defined()) {
    options.side_info = token_info(spec.side, batch, key_heads, spec.side_key.size(2), spec.side_key.size(2));
    options.side_key = spec.side_key.value();
    options.side_value = spec.side_value.value();
  }
  options.relative.query = view_or_absent(spec.relative_query.value());
  options.relative.key = view_or_absent(spec.relative_key.value());
  options.relative.bias = view_or_absent(spec.relative_bias.value());
  options.relative.first_distance = spec.first_distance;
  options.scale = static_cast<float>(spec.scale.value_or(1.0 / std::sqrt(static_cast<double>(o.query.size(3)))));
  options.dropout = spec.dropout;
  return options;
}

Tensor workspace(const Operands& o, const AttentionSpec& spec, bool backward) {
  const MemoryScope scope(MemoryFamily::kWorkspace);
  const auto shape = kernels::attention_shape(o.query, o.key, o.value, spec.pattern, options_for(o, spec).relative);
  return Tensor::empty({kernels::attention_workspace_bytes(shape, backward, thread_count())}, DType::kU8, o.query.device());
}

}  // namespace

void forward(const Operands& o, const Tensor& out, const Tensor& lse, const AttentionSpec& spec) {
  ops::table(out).attention.forward(o.query, o.key, o.value, out, lse, workspace(o, spec, false), options_for(o, spec));
}

void backward(const Operands& o, const Tensor& out, const Tensor& lse, const Tensor& dout, const Tensor& dlse, const Operands& d, const AttentionGradients& extra,
              const AttentionSpec& spec) {
  ops::table(out).attention.backward(o.query, o.key, o.value, out, lse, view_or_absent(dout), view_or_absent(dlse), view_or_absent(d.query), view_or_absent(d.key),
                                     view_or_absent(d.value), extra, workspace(o, spec, true), options_for(o, spec));
}

namespace {

/// A tensor for the gradient of input `i`, or an undefined one. Rows that a permutation leaves out keep their zeros.
Tensor wanted(const BackwardContext& context, int i, const Tensor& of, bool statistics = false) {
  if (!of.defined() || !context.needs(i)) return {};
  return Tensor::zeros(of.shape(), statistics ? ops::statistics_dtype(of.dtype()) : of.dtype(), of.device());
}

}  // namespace

AttentionResult block_attention(const Variable& query, const Variable& key, const Variable& value, const AttentionSpec& spec) {
  const Operands operands{query.value(), key.value(), value.value()};
  check_operands(operands, spec);
  const int64_t batch = query.size(0), heads = query.size(1), rows = query.size(2);
  const Tensor out = Tensor::zeros({batch, heads, rows, value.size(3)}, query.dtype(), query.device());
  const Tensor lse = Tensor::empty({batch, heads, rows}, ops::statistics_dtype(query.dtype()), query.device());
  ops::table(out).elementwise.fill(lse, -INFINITY);  // rows that a permutation leaves out see nothing
  forward(operands, out, lse, spec);
  const Tensor outputs[] = {out, lse};
  const Variable inputs[] = {query, key, value, spec.side_key, spec.side_value, spec.relative_query, spec.relative_key, spec.relative_bias};
  const auto results = record("block_attention", outputs, inputs, [operands, out, lse, spec](const BackwardContext& context) {
    const Operands gradients{wanted(context, 0, operands.query), wanted(context, 1, operands.key), wanted(context, 2, operands.value)};
    const Tensor extra[] = {wanted(context, 3, spec.side_key.value()), wanted(context, 4, spec.side_value.value()), wanted(context, 5, spec.relative_query.value()),
                            wanted(context, 6, spec.relative_key.value(), true), wanted(context, 7, spec.relative_bias.value(), true)};
    const Tensor& dout = context.gradient(0);
    backward(operands, out, lse, dout.defined() ? ops::dense(dout) : dout, context.gradient(1), gradients,
             {.side_key = view_or_absent(extra[0]), .side_value = view_or_absent(extra[1]), .relative_query = view_or_absent(extra[2]),
              .relative_key = view_or_absent(extra[3]), .relative_bias = view_or_absent(extra[4])}, spec);
    const Tensor* all[] = {&gradients.query, &gradients.key, &gradients.value, &extra[0], &extra[1], &extra[2], &extra[3], &extra[4]};
    for (int i = 0; i < 8; ++i) {
      if (all[i]->defined()) context.give(i, *all[i]);
    }
  });
  return {results[0], results[1]};
}

FusedParts split_fused(const Tensor& qkv, int64_t heads, int64_t key_heads) {
  check<ShapeError>(qkv.rank() == 3 && heads > 0 && key_heads > 0 && qkv.size(2) % (heads + 2 * key_heads) == 0,
                    "[self_attention] {} columns of {} are not {} query and 2 x {} key and value heads", qkv.rank() == 3 ? qkv.size(2) : 0, qkv.shape(), heads, key_heads);
  const int64_t head_dim = qkv.size(2) / (heads + 2 * key_heads);
  const Tensor by_head = qkv.reshape({qkv.size(0), qkv.size(1), heads + 2 * key_heads, head_dim}).permute({0, 2, 1, 3});  // [B, H + 2 Hk, N, d]
  return {by_head.slice(1, 0, heads), by_head.slice(1, heads, heads + key_heads), by_head.slice(1, heads + key_heads, heads + 2 * key_heads)};
}

namespace {

/// [B, N, heads d] as [B, heads, N, d], a view.
Tensor by_head(const Tensor& rows, int64_t heads) {
  return rows.reshape({rows.size(0), rows.size(1), heads, rows.size(2) / heads}).permute({0, 2, 1, 3});
}

bool permutes_queries(const AttentionSpec& spec) { return !spec.pattern.query_permutation().empty() || spec.query.rows.defined(); }
bool permutes_keys(const AttentionSpec& spec) { return !spec.pattern.key_permutation().empty() || spec.key.rows.defined(); }

/// A gradient that the kernels write: zeros first where a permutation may leave rows out.
Tensor gradient_of(const Tensor& of, bool permuted) { return permuted ? Tensor::zeros(of.shape(), of.dtype(), of.device()) : ops::like(of); }

/// Attention whose result is [B, Nq, H d], and its statistics.
struct JoinedResult {
  Tensor out, lse;
};

JoinedResult joined_forward(const Operands& operands, const AttentionSpec& spec) {
  check_operands(operands, spec);
  const int64_t batch = operands.query.size(0), heads = operands.query.size(1), rows = operands.query.size(2);
  const Device device = operands.query.device();
  const DType dtype = operands.query.dtype();
  JoinedResult result{Tensor::empty({batch, rows, heads * operands.value.size(3)}, dtype, device), Tensor::empty({batch, heads, rows}, ops::statistics_dtype(dtype), device)};
  if (permutes_queries(spec)) {
    result.out.zero();
    ops::table(result.out).elementwise.fill(result.lse, -INFINITY);
  }
  forward(operands, by_head(result.out, heads), result.lse, spec);
  return result;
}

}  // namespace

Variable self_attention(const Variable& qkv, int64_t heads, int64_t key_heads, const AttentionSpec& spec) {
  const auto operands_of = [heads, key_heads](const Tensor& fused) {
    const FusedParts parts = split_fused(fused, heads, key_heads);
    return Operands{parts.query, parts.key, parts.value};
  };
  const auto [out, lse] = joined_forward(operands_of(qkv.value()), spec);
  return record("self_attention", out, {qkv, spec.side_key, spec.side_value}, [qkv = qkv.value(), out = out, lse = lse, spec, operands_of, heads](const BackwardContext& context) {
    const Tensor dqkv = gradient_of(qkv, permutes_queries(spec) || permutes_keys(spec));
    const Tensor side_key = wanted(context, 1, spec.side_key.value()), side_value = wanted(context, 2, spec.side_value.value());
    backward(operands_of(qkv), by_head(out, heads), lse, by_head(ops::dense(context.gradient()), heads), {}, operands_of(dqkv),
             {.side_key = view_or_absent(side_key), .side_value = view_or_absent(side_value), .relative_query = {}, .relative_key = {}, .relative_bias = {}}, spec);
    context.give(0, dqkv);
    if (side_key.defined()) context.give(1, side_key);
    if (side_value.defined()) context.give(2, side_value);
  });
}

Variable projected_attention(const Variable& query, const Variable& key_value, int64_t heads, int64_t key_heads, const AttentionSpec& spec) {
  check<ShapeError>(query.value().rank() == 3 && key_value.value().rank() == 3 && heads > 0 && key_heads > 0 && query.size(2) % heads == 0 && key_value.size(2) == query.size(2) / heads * 2 * key_heads,
                    "[projected_attention] query {} and key_value {} are not {} query and 2 x {} key and value heads of one width", query.shape(), key_value.shape(), heads, key_heads);
  const auto operands_of = [heads, key_heads](const Tensor& q, const Tensor& kv) {
    const Tensor both = by_head(kv, 2 * key_heads);  // [B, 2 Hk, Nk, d]
    return Operands{by_head(q, heads), both.slice(1, 0, key_heads), both.slice(1, key_heads, 2 * key_heads)};
  };
  const auto [out, lse] = joined_forward(operands_of(query.value(), key_value.value()), spec);
  return record("projected_attention", out, {query, key_value}, [q = query.value(), kv = key_value.value(), out = out, lse = lse, spec, operands_of, heads](const BackwardContext& context) {
    const Tensor dq = gradient_of(q, permutes_queries(spec)), dkv = gradient_of(kv, permutes_keys(spec));
    backward(operands_of(q, kv), by_head(out, heads), lse, by_head(ops::dense(context.gradient()), heads), {}, operands_of(dq, dkv), {}, spec);
    context.give(0, dq);
    context.give(1, dkv);
  });
}

}  // namespace longhaul::attention
