#include "models/recurrent/layer.h"

#include <cmath>

#include "framework/attention/relative_attention.h"
#include "framework/autograd/recompute.h"
#include "framework/autograd/tape.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/linear.h"
#include "framework/ops/shape.h"
#include "framework/ops/support.h"
#include "framework/pattern/builders.h"
#include "framework/tensor/memory.h"

namespace longhaul::models {
namespace {

constexpr uint32_t kBranches = 3;  // places of dropout in a layer: attention, inside the feed-forward, behind it

ops::Activation activation_of(Activation activation) {
  switch (activation) {
    case Activation::kRelu: return ops::Activation::kRelu;
    case Activation::kSwiglu: return ops::Activation::kSwiglu;
    case Activation::kGeluTanh: return ops::Activation::kGeluTanh;
    case Activation::kGelu: break;
  }
  return ops::Activation::kGelu;
}

bool post(const BodyOptions& body) { return body.norm == NormPlacement::kPost; }

/// Attention weights that keys receive, mean over heads and queries: [B, K]. The gradient of values under a gradient of ones is
/// their sum over queries.
Tensor received(const attention::RelativeInputs& inputs, int64_t heads, const attention::AttentionSpec& spec) {
  const int64_t batch = inputs.query.size(0), queries = inputs.query.size(1), keys = inputs.key_value.size(1), d = inputs.query.size(2) / heads;
  TapeScope recording;
  const Variable mixed = attention::relative_attention(inputs, heads, spec);
  const Tensor ones = ops::like(mixed.value());
  ops::table(ones).elementwise.fill(ones, 1);
  recording.tape().backward(mixed, ones);
  const Tensor weights = inputs.key_value.gradient().reshape({batch * keys, 2 * heads, d}).slice(1, heads, 2 * heads).slice(2, 0, 1);  // [B K, H, 1]
  const Tensor sums = Tensor::empty({batch * keys}, ones.dtype(), ones.device());
  ops::table(ones).reduce.row_sum(ops::dense(weights).reshape({batch * keys, heads}), sums);
  ops::table(ones).elementwise.axpby(sums, sums, 1.0 / static_cast<double>(heads * queries), 0);
  return sums.reshape({batch, keys});
}

}  // namespace

PositionBiases::PositionBiases(int64_t heads, int64_t head_dim, double deviation, nn::Initializer& init)
    : content(init.normal({heads, head_dim}, deviation)), position(init.normal({heads, head_dim}, deviation)) {
  add("content", content);
  add("position", position);
}

RecurrentLayer::RecurrentLayer(const RecurrentOptions& options, int index, const MemoryOptions& memory, const PositionBiases* biases, nn::Initializer& init)
    : body_(options.body),
      memory_(memory),
      index_(index),
      query_(body_.dim, body_.heads * body_.head_dim, false, body_.init_std, init),
      key_value_(body_.dim, 2 * body_.heads * body_.head_dim, false, body_.init_std, init),
      distance_(body_.dim, body_.heads * body_.head_dim, false, body_.init_std, init),
      out_(body_.heads * body_.head_dim, body_.dim, false, body_.init_std, init),
      own_biases_(biases ? nullptr : std::make_unique<PositionBiases>(body_.heads, body_.head_dim, body_.init_std, init)),
      biases_(biases ? biases : own_biases_.get()),
      attention_norm_(body_.dim, body_.bias, norm_options(body_), init),
      feed_forward_norm_(body_.dim, body_.bias, norm_options(body_), init),
      in_(body_.dim, body_.activation == Activation::kSwiglu ? 2 * body_.feedforward : body_.feedforward, body_.bias, body_.init_std, init),
      back_(body_.feedforward, body_.dim, body_.bias, body_.init_std, init),
      feed_options_{.activation = activation_of(body_.activation), .chunk_rows = memory.chunk_feedforward} {
  add("attention_norm", attention_norm_);
  add("attention.query", query_);
  add("attention.key_value", key_value_);
  add("attention.distance", distance_);
  add("attention.out", out_);
  if (own_biases_) add("attention.biases", *own_biases_);
  add("feed_forward_norm", feed_forward_norm_);
  add("feed_forward.in", in_);
  add("feed_forward.out", back_);
}

Variable RecurrentLayer::drop(const Variable& x, uint32_t branch, const SegmentView& segment, const nn::StepContext& context) const {
  if (!context.training || body_.dropout == 0) return x;
  const uint32_t place = (segment.segment * static_cast<uint32_t>(body_.layers) + static_cast<uint32_t>(index_)) * kBranches + branch;
  return ops::dropout(x, {.stream = context.stream(place, RandomPurpose::kResidualDropout), .probability = body_.dropout,
                          .first_element = static_cast<uint64_t>(context.first_row * x.size(1) * x.size(2))});
}

RecurrentLayer::Sides RecurrentLayer::sides(const Variable& x, const Variable& memory, const nn::StepContext& context) const {
  const int64_t length = x.size(1);
  const Variable own = ops::cast(x, context.compute);
  Sides out{own, own};
  if (memory.defined()) {
    const Variable parts[] = {memory, own};
    out.seen = ops::concat(parts, 1);
  }
  if (post(body_)) return out;
  // The memory holds the residual stream and is normalised again with the weights of now.
  out.asking = out.seen = attention_norm_(out.seen, context.compute);
  if (memory.defined()) out.asking = ops::slice(out.seen, 1, out.seen.size(1) - length, out.seen.size(1));
  return out;
}

attention::AttentionSpec RecurrentLayer::spec_of(const SegmentView& segment) const {
  attention::AttentionSpec spec;
  spec.pattern = segment.pattern;
  spec.query.segment = segment.query_documents;
  spec.key.segment = segment.key_documents;
  return spec;
}

Variable RecurrentLayer::attend(const Variable& x, const Variable& memory, const SegmentView& segment, const nn::StepContext& context) const {
  const Sides side = sides(x, memory, context);
  attention::AttentionSpec spec = spec_of(segment);
  if (context.training && body_.attention_dropout > 0) {
    const uint32_t place = segment.segment * static_cast<uint32_t>(body_.layers) + static_cast<uint32_t>(index_);
    spec.dropout = {.stream = context.stream(place, RandomPurpose::kAttentionDropout), .probability = body_.attention_dropout, .first_row = static_cast<uint64_t>(context.first_row)};
  }
  return out_(attention::relative_attention({.query = query_(side.asking), .key_value = key_value_(side.seen), .distance_key = distance_(segment.distances), .content_bias = biases_->content, .position_bias = biases_->position},
                                            body_.heads, spec));
}

Variable RecurrentLayer::recall_query(const Variable& x, const nn::StepContext& context) const {
  return query_.constant(post(body_) ? ops::cast(x, context.compute) : attention_norm_.constant(x, context.compute));
}

Variable RecurrentLayer::recall(const Variable& query, const Variable& rows, const nn::StepContext& context) const {
  const Variable key_value = key_value_.constant(post(body_) ? ops::cast(rows, context.compute) : attention_norm_.constant(rows, context.compute));
  attention::AttentionSpec spec;
  spec.pattern = pattern::dense({query.size(1), rows.size(1)});
  return attention::projected_attention(query, key_value, body_.heads, body_.heads, spec);
}

Tensor RecurrentLayer::usage(const Variable& x, const Variable& memory, const SegmentView& segment, const nn::StepContext& context) const {
  const DType wide = ops::statistics_dtype(context.compute);
  const auto constant = [&](const Variable& v) { return Variable(ops::cast_tensor(v.value(), wide)); };
  attention::RelativeInputs inputs;
  {
    const NoTapeScope quiet;
    const Sides side = sides(x, memory, context);
    inputs = {.query = constant(query_(side.asking)), .key_value = Variable::leaf(ops::cast_tensor(key_value_(side.seen).value(), wide)),
              .distance_key = constant(distance_(segment.distances)), .content_bias = constant(biases_->content), .position_bias = constant(biases_->position)};
  }
  return received(inputs, body_.heads, spec_of(segment));
}

Tensor RecurrentLayer::usage(const Variable& x, const TokenCache& cache, const Pattern& pattern, const nn::StepContext& context) const {
  const NoTapeScope quiet;
  const DType wide = ops::statistics_dtype(context.compute);
  const auto constant = [&](const Variable& v) { return Variable(ops::cast_tensor(v.value(), wide)); };
  const int64_t batch = x.size(0), width = body_.heads * body_.head_dim;
  const Tensor seen = ops::dense(cache.rows.slice(1, cache.begin, cache.end)), places = ops::dense(cache.distances);
  const Variable own = post(body_) ? ops::cast(x, context.compute) : attention_norm_(x, context.compute);
  attention::AttentionSpec spec;
  spec.pattern = pattern;
  return received({.query = constant(query_(own)), .key_value = Variable::leaf(ops::cast_tensor(seen.reshape({batch, cache.end - cache.begin, 2 * width}), wide)),
                   .distance_key = constant(Variable(places.reshape({places.size(0), width}))), .content_bias = constant(biases_->content), .position_bias = constant(biases_->position)},
                  body_.heads, spec);
}

Variable RecurrentLayer::feed(const Variable& x, const SegmentView& segment, const nn::StepContext& context) const {
  const ops::FeedForwardWeights weights{.in = in_.weight(), .in_bias = in_.bias(), .out = back_.weight(), .out_bias = back_.bias()};
  if (!context.training || body_.dropout == 0) return ops::feed_forward(x, weights, feed_options_);
  Variable inner = in_(x);
  switch (body_.activation) {
    case Activation::kRelu: inner = ops::unary(inner, ops::UnaryOp::kRelu); break;
    case Activation::kGelu: inner = ops::unary(inner, ops::UnaryOp::kGelu); break;
    case Activation::kGeluTanh: inner = ops::unary(inner, ops::UnaryOp::kGeluTanh); break;
    case Activation::kSwiglu: inner = ops::swiglu(inner); break;
  }
  return drop(back_(drop(inner, 1, segment, context)), 2, segment, context);
}

Variable RecurrentLayer::finish(const Variable& x, const Variable& attended, const SegmentView& segment, const nn::StepContext& context) const {
  const DType stream = x.dtype();
  if (post(body_)) {
    const Variable a = attention_norm_.add(x, attended, stream).normal;
    return feed_forward_norm_.add(a, feed(ops::cast(a, context.compute), segment, context), stream).normal;
  }
  const auto sum = feed_forward_norm_.add(x, attended, context.compute);
  return residual_sum(sum.sum, feed(sum.normal, segment, context));
}

Variable RecurrentLayer::forward(const Variable& x, const Variable& memory, const SegmentView& segment, const nn::StepContext& context) const {
  const auto attended = [this, segment, context](std::span<const Variable> in) -> std::vector<Variable> { return {drop(attend(in[0], in[1], segment, context), 0, segment, context)}; };
  const Variable in[] = {x, memory};
  return finish(x, memory_.recompute == Recompute::kAttention ? recompute(attended, in)[0] : attended(in)[0], segment, context);
}

TokenCache RecurrentLayer::start(int64_t batch, int64_t capacity, const Variable& distances, DType compute) const {
  const MemoryScope scope(MemoryFamily::kState);
  TokenCache cache;
  cache.rows = Tensor::empty({batch, capacity, 2 * body_.heads, body_.head_dim}, compute, distances.device());
  cache.distances = distance_(distances).value().reshape({distances.size(0), body_.heads, body_.head_dim});
  return cache;
}

Tensor RecurrentLayer::remembered(const Variable& rows, const nn::StepContext& context) const {
  const Variable own = post(body_) ? ops::cast(rows, context.compute) : attention_norm_(rows, context.compute);
  return key_value_(own).value().reshape({rows.size(0), rows.size(1), 2 * body_.heads, body_.head_dim});
}

void RecurrentLayer::fill_with_zeros(TokenCache& cache, int64_t count) const {
  nn::StepContext context;
  context.compute = cache.rows.dtype();
  const Variable zeros(Tensor::zeros({cache.rows.size(0), count, body_.dim}, cache.rows.dtype(), cache.rows.device()));
  ops::table(cache.rows).elementwise.copy(remembered(zeros, context), cache.rows.slice(1, 0, count));
  cache.begin = 0, cache.end = count;
}

Variable RecurrentLayer::step(const Variable& x, TokenCache& cache, const Pattern& pattern, const nn::StepContext& context) const {
  const int64_t batch = x.size(0), fresh = x.size(1), heads = body_.heads, d = body_.head_dim;
  const Variable own = post(body_) ? ops::cast(x, context.compute) : attention_norm_(x, context.compute);
  ops::table(x.value()).elementwise.copy(key_value_(own).value().reshape({batch, fresh, 2 * heads, d}), cache.rows.slice(1, cache.end, cache.end + fresh));
  cache.end += fresh;
  const Variable query = query_(own);
  const auto by_head = [&](const Variable& bias) {
    const Variable flat(bias.value_as(context.compute).reshape({heads * d}));
    return Variable(ops::add(query, flat).value().reshape({batch, fresh, heads, d}).permute({0, 2, 1, 3}));
  };
  const Tensor seen = cache.rows.slice(1, cache.begin, cache.end).permute({0, 2, 1, 3});  // [B, 2 H, K, d]
  attention::AttentionSpec spec;
  spec.pattern = pattern;
  spec.relative_query = by_head(biases_->position);
  spec.relative_key = Variable(cache.distances.permute({1, 0, 2}));
  const Variable mixed = attention::block_attention(by_head(biases_->content), Variable(seen.slice(1, 0, heads)), Variable(seen.slice(1, heads, 2 * heads)), spec).out;
  const Variable attended = out_(ops::reshape(ops::permute(mixed, {0, 2, 1, 3}), {batch, fresh, heads * d}));
  return finish(x, attended, {}, context);
}

Tensor distance_table(int64_t rows, int64_t width, Device device, DType dtype) {
  const MemoryScope scope(MemoryFamily::kState);
  const Tensor table = Tensor::empty({rows, width}, dtype, device);
  if (device.is_meta()) return table;
  const auto fill = [&](auto* to) {
    for (int64_t p = 0; p < rows; ++p) {
      for (int64_t t = 0; t < width / 2; ++t) {
        const double angle = static_cast<double>(p) * std::pow(10000.0, -2.0 * static_cast<double>(t) / static_cast<double>(width));
        to[p * width + t] = static_cast<std::decay_t<decltype(*to)>>(std::sin(angle));
        to[p * width + width / 2 + t] = static_cast<std::decay_t<decltype(*to)>>(std::cos(angle));
      }
    }
  };
  if (dtype == DType::kF64) fill(table.data<double>());
  else fill(table.data<float>());
  return table;
}

}  // namespace longhaul::models
