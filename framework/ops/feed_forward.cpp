#include "framework/ops/feed_forward.h"

#include <algorithm>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/support.h"

namespace longhaul::ops {
namespace {

// Rows the backward works on at a time when the forward was not chunked: bounds its two hidden-size buffers.
constexpr int64_t kBackwardRows = 4096;

kernels::UnaryOp unary_of(Activation activation) {
  switch (activation) {
    case Activation::kGeluTanh: return kernels::UnaryOp::kGeluTanh;
    case Activation::kRelu: return kernels::UnaryOp::kRelu;
    case Activation::kSilu: return kernels::UnaryOp::kSilu;
    case Activation::kTanh: return kernels::UnaryOp::kTanh;
    case Activation::kGelu:
    case Activation::kSwiglu: break;
  }
  return kernels::UnaryOp::kGelu;
}

/// hidden [R, F] = act(pre [R, F or 2F])
void activate(const Tensor& pre, const Tensor& hidden, Activation activation) {
  if (activation == Activation::kSwiglu) table(pre).elementwise.swiglu(pre, hidden);
  else table(pre).elementwise.unary(pre, hidden, unary_of(activation));
}

/// dpre from pre and dhidden; in place for the unary kinds.
Tensor activate_backward(const Tensor& pre, const Tensor& dhidden, Activation activation) {
  if (activation != Activation::kSwiglu) {
    table(pre).elementwise.unary_backward(pre, dhidden, dhidden, unary_of(activation));
    return dhidden;
  }
  const Tensor dpre = like(pre);
  table(pre).elementwise.swiglu_backward(pre, dhidden, dpre);
  return dpre;
}

void project(const Tensor& x, const Variable& weight, const Variable& bias, const Tensor& y) {
  table(x).matmul.gemm(x, weight.value_as(x.dtype()), view_or_absent(bias.value()), y, {.transpose_b = true});
}

/// A weight gradient over several chunks: the first product overwrites a stale buffer, the rest add.
struct Accumulator {
  GradientBuffer buffer;
  bool wanted = false;
  Accumulator(const BackwardContext& context, int input) : wanted(context.needs(input)) {
    if (wanted) buffer = context.buffer(input);
  }
  void product(const Tensor& dy, const Tensor& x) {
    if (!wanted) return;
    table(dy).matmul.gemm(dy, x, absent(), buffer.tensor, {.transpose_a = true, .accumulate = buffer.accumulate});
    buffer.accumulate = true;
  }
  void columns(const Tensor& dy) {
    if (!wanted) return;
    table(dy).reduce.column_sum(dy, buffer.tensor, buffer.accumulate);
    buffer.accumulate = true;
  }
};

}  // namespace

Variable feed_forward(const Variable& x, const FeedForwardWeights& w, const FeedForwardOptions& options) {
  const int64_t width = x.size(-1), inner = w.out.size(1);
  const int64_t pre_width = options.activation == Activation::kSwiglu ? 2 * inner : inner;
  check<ShapeError>(w.in.shape() == Shape{pre_width, width} && w.out.size(0) == width, "[feed_forward] weights {} and {} do not fit x {}", w.in.shape(), w.out.shape(), x.shape());
  const Tensor input = dense(x.value());
  const Tensor rows = as_rows(input);  // [R, D]
  const int64_t total = rows.size(0);
  const Tensor y = like(input);
  const bool keep = options.chunk_rows <= 0 && will_record({x, w.in, w.out});
  const int64_t chunk = options.chunk_rows > 0 ? std::min(options.chunk_rows, std::max<int64_t>(total, 1)) : std::max<int64_t>(total, 1);

  const auto pre_of = [](const Tensor& part, const FeedForwardWeights& weights, int64_t columns) {
    const Tensor pre = Tensor::empty({part.size(0), columns}, part.dtype(), part.device());  // [r, F or 2F]
    project(part, weights.in, weights.in_bias, pre);
    return pre;
  };
  Tensor kept;
  for (int64_t begin = 0; begin < total; begin += chunk) {
    const int64_t end = std::min(total, begin + chunk);
    const Tensor pre = pre_of(rows.slice(0, begin, end), w, pre_width);
    const bool in_place = !keep && options.activation != Activation::kSwiglu;
    const Tensor hidden = in_place ? pre : Tensor::empty({end - begin, inner}, x.dtype(), x.device());  // [r, F]
    activate(pre, hidden, options.activation);
    project(hidden, w.out, w.out_bias, as_rows(y).slice(0, begin, end));
    if (keep) kept = pre;
  }

  const Variable inputs[] = {x, w.in, w.in_bias, w.out, w.out_bias};
  return record("feed_forward", {&y, 1}, inputs, [input, kept, w, options, inner, pre_width, pre_of](const BackwardContext& context) {
    const Tensor rows = as_rows(input), dy = as_rows(context.gradient());
    const int64_t total = rows.size(0);
    const int64_t chunk = options.chunk_rows > 0 ? options.chunk_rows : kBackwardRows;
    const Tensor dx = like(input);
    Accumulator dw_in(context, 1), db_in(context, 2), dw_out(context, 3), db_out(context, 4);
    db_out.columns(dy);
    for (int64_t begin = 0; begin < total; begin += chunk) {
      const int64_t end = std::min(total, begin + chunk);
      const Tensor part = rows.slice(0, begin, end), dpart = dy.slice(0, begin, end);
      const Tensor pre = kept.defined() ? kept.slice(0, begin, end) : pre_of(part, w, pre_width);
      Tensor dhidden = Tensor::empty({end - begin, inner}, input.dtype(), input.device());
      {
        const Tensor hidden = like(dhidden);
        activate(pre, hidden, options.activation);
        dw_out.product(dpart, hidden);
      }
      table(dy).matmul.gemm(dpart, w.out.value_as(input.dtype()), absent(), dhidden, {});
      const Tensor dpre = activate_backward(pre, dhidden, options.activation);
      dw_in.product(dpre, part);
      db_in.columns(dpre);
      table(dy).matmul.gemm(dpre, w.in.value_as(input.dtype()), absent(), as_rows(dx).slice(0, begin, end), {});
    }
    context.give(0, dx);
  }).front();
}

}  // namespace longhaul::ops
