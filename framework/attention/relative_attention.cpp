#include "framework/attention/relative_attention.h"

#include "framework/attention/kernel_call.h"
#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/support.h"

namespace longhaul::attention {
namespace {

/// [B, N, parts d] seen by heads, [B, parts, N, d].
Tensor by_head(const Tensor& rows, int64_t parts) {
  return rows.reshape({rows.size(0), rows.size(1), parts, rows.size(2) / parts}).permute({0, 2, 1, 3});
}

Operands operands_of(const Tensor& query, const Tensor& key_value, int64_t heads) {
  const Tensor both = by_head(key_value, 2 * heads);  // [B, 2 H, K, d]
  return {by_head(query, heads), both.slice(1, 0, heads), both.slice(1, heads, 2 * heads)};
}

/// query + bias, the bias [H, d] repeated over all rows.
Tensor shifted(const Tensor& query, const Variable& bias) {
  const Tensor out = ops::like(query);
  ops::table(out).elementwise.binary(query, bias.value_as(query.dtype()).reshape({query.size(2)}), out, kernels::BinaryOp::kAdd);
  return out;
}

/// The specification with the relative term of these operands.
AttentionSpec with_relative(const RelativeInputs& inputs, const Tensor& position_query, int64_t heads, AttentionSpec spec) {
  const Tensor& rows = inputs.distance_key.value();
  spec.relative_query = Variable(by_head(position_query, heads));
  spec.relative_key = Variable(rows.reshape({rows.size(0), heads, rows.size(1) / heads}).permute({1, 0, 2}));
  spec.first_distance = 0;
  return spec;
}

/// Adds the sums over all rows of a gradient [B, N, H d] to that of a bias.
void add_bias_gradient(const BackwardContext& context, int input, const Tensor& rows) {
  if (!context.needs(input)) return;
  const auto [buffer, accumulate] = context.buffer(input);
  ops::table(rows).reduce.column_sum(ops::as_rows(rows), buffer.reshape({buffer.elements()}), accumulate);
}

}  // namespace

Variable relative_attention(const RelativeInputs& inputs, int64_t heads, const AttentionSpec& spec) {
  const Shape &q = inputs.query.shape(), &kv = inputs.key_value.shape(), &r = inputs.distance_key.shape();
  check<ShapeError>(q.rank() == 3 && kv.rank() == 3 && r.rank() == 2 && heads > 0 && q[2] % heads == 0 && kv[0] == q[0] && kv[2] == 2 * q[2] && r[1] == q[2],
                    "[relative_attention] shapes do not fit {} heads: query {}, key_value {}, distance_key {}", heads, q, kv, r);
  const Shape bias{heads, q[2] / heads};
  check<ShapeError>(inputs.content_bias.shape() == bias && inputs.position_bias.shape() == bias, "[relative_attention] biases {} and {} must be {}", inputs.content_bias.shape(),
                    inputs.position_bias.shape(), bias);
  const Tensor query = ops::dense(inputs.query.value()), key_value = ops::dense(inputs.key_value.value());
  const Tensor out = ops::like(query);
  const Tensor lse = Tensor::empty({q[0], heads, q[1]}, ops::statistics_dtype(query.dtype()), query.device());
  {
    const AttentionSpec full = with_relative(inputs, shifted(query, inputs.position_bias), heads, spec);
    const Operands operands = operands_of(shifted(query, inputs.content_bias), key_value, heads);
    check_operands(operands, full);
    forward(operands, by_head(out, heads), lse, full);
  }
  const Variable all[] = {inputs.query, inputs.key_value, inputs.distance_key, inputs.content_bias, inputs.position_bias};
  const Tensor outputs[] = {out};
  const auto results = record("relative_attention", outputs, all, [inputs, query, key_value, out, lse, heads, spec](const BackwardContext& context) {
    const AttentionSpec full = with_relative(inputs, shifted(query, inputs.position_bias), heads, spec);
    const Operands operands = operands_of(shifted(query, inputs.content_bias), key_value, heads);
    const Tensor dcontent = ops::like(query), dposition = ops::like(query), dkey_value = ops::like(key_value);
    const Tensor& rows = inputs.distance_key.value();
    const Tensor dtable = Tensor::empty({heads, rows.size(0), rows.size(1) / heads}, ops::statistics_dtype(query.dtype()), query.device());
    kernels::AttentionGradients extra;
    extra.relative_query = by_head(dposition, heads);
    extra.relative_key = dtable;
    backward(operands, by_head(out, heads), lse, by_head(ops::dense(context.gradient()), heads), {}, operands_of(dcontent, dkey_value, heads), extra, full);
    add_bias_gradient(context, 3, dcontent);
    add_bias_gradient(context, 4, dposition);
    if (context.needs(0)) {
      ops::table(query).elementwise.binary(dcontent, dposition, dcontent, kernels::BinaryOp::kAdd);
      context.give(0, dcontent);
    }
    context.give(1, dkey_value);
    if (context.needs(2)) {
      const Tensor by_row = Tensor::empty({rows.size(0), heads, rows.size(1) / heads}, rows.dtype(), rows.device());
      ops::table(rows).elementwise.copy(dtable.permute({1, 0, 2}), by_row);
      context.give(2, by_row.reshape(rows.shape()));
    }
  });
  return results[0];
}

}  // namespace longhaul::attention
