#include "framework/ops/cross_entropy.h"

#include <algorithm>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/support.h"

namespace longhaul::ops {
namespace {

constexpr int64_t kLogitBytes = int64_t{64} << 20;
constexpr int64_t kMinimumRows = 64;

kernels::CrossEntropyOptions kernel_options(const LossOptions& options) {
  return {.label_smoothing = static_cast<float>(options.label_smoothing), .scale = static_cast<float>(options.scale)};
}

/// [1]: scale * sum(values)
Tensor scaled_sum(const Tensor& values, double scale) {
  const Tensor wide = Tensor::empty({1}, DType::kF64, values.device());
  table(values).reduce.sum(values, wide);
  const Tensor out = Tensor::empty({1}, values.dtype(), values.device());
  table(values).elementwise.axpby(wide, out, scale, 0);
  return out;
}

/// x times the scalar [1]; x itself when the scalar is known to be 1, as it is for the root of a step.
Tensor times(const Tensor& x, const Tensor& factor) {
  if (factor.device().is_meta()) return x;
  if (factor.device().is_host()) {
    const double value = factor.dtype() == DType::kF64 ? factor.data<double>()[0] : factor.data<float>()[0];
    if (value == 1.0) return x;
  }
  const Tensor out = like(x);
  table(x).elementwise.binary(x, cast_tensor(factor, x.dtype()), out, kernels::BinaryOp::kMultiply);
  return out;
}

void check_target(const char* name, const Tensor& target, int64_t rows, int64_t classes) {
  check<ShapeError>(target.dtype() == DType::kI32 && target.contiguous() && target.elements() == rows, "[{}] targets {} {} do not fit {} rows", name, target.dtype(), target.shape(), rows);
  if (!target.device().is_host()) return;
  const int32_t* ids = target.data<int32_t>();
  for (int64_t i = 0; i < rows; ++i) check<ShapeError>(ids[i] >= -1 && ids[i] < classes, "[{}] target {} in row {} is out of range for {} classes", name, ids[i], i, classes);
}

}  // namespace

CrossEntropyResult cross_entropy(const Variable& logits, const Tensor& target, const LossOptions& options) {
  const Tensor z = as_rows(logits.value());  // [R, V]
  check_target("cross_entropy", target, z.size(0), z.size(1));
  const Tensor nll = Tensor::empty({z.size(0)}, z.dtype(), z.device());
  const Tensor smoothed = options.label_smoothing > 0 ? like(nll) : Tensor();
  const Tensor dz = will_record({logits}) ? like(z) : Tensor();
  const Tensor best = options.best ? Tensor::empty(nll.shape(), DType::kI32, z.device()) : Tensor();
  if (best.defined()) table(z).reduce.arg_max(z, best);
  table(z).cross_entropy.forward(z, target.reshape({-1}), nll, view_or_absent(smoothed), view_or_absent(dz), kernel_options(options));
  const Tensor loss = scaled_sum(smoothed.defined() ? smoothed : nll, options.scale);
  return {record("cross_entropy", loss, {logits}, [dz, shape = logits.shape()](const BackwardContext& context) {
            context.give(0, times(dz, context.gradient()).reshape(shape));
          }), nll, best};
}

CrossEntropyResult linear_cross_entropy(const Variable& hidden, const Variable& weight, const Variable& bias, const Tensor& target, const LossOptions& options) {
  const Tensor input = dense(hidden.value());
  const Tensor h = as_rows(input);  // [R, D]
  const int64_t rows = h.size(0), classes = weight.size(0);
  check<ShapeError>(weight.size(1) == h.size(1), "[linear_cross_entropy] hidden {} does not fit weight {}", hidden.shape(), weight.shape());
  check_target("linear_cross_entropy", target, rows, classes);
  const DType wide = statistics_dtype(h.dtype());
  const bool train = will_record({hidden, weight, bias});
  const int64_t automatic = std::max(kMinimumRows, kLogitBytes / (static_cast<int64_t>(size_of(wide)) * std::max<int64_t>(classes, 1)));
  const int64_t chunk = std::min(options.chunk_rows > 0 ? options.chunk_rows : automatic, std::max<int64_t>(rows, 1));

  const Tensor nll = Tensor::empty({rows}, wide, h.device());
  const Tensor smoothed = options.label_smoothing > 0 ? like(nll) : Tensor();
  const Tensor best = options.best ? Tensor::empty(nll.shape(), DType::kI32, h.device()) : Tensor();
  const Tensor dh = train ? like(input) : Tensor();
  const Tensor dw = train && weight.needs_gradient() ? Tensor::zeros(weight.shape(), wide, h.device()) : Tensor();
  const Tensor db = train && bias.needs_gradient() ? Tensor::zeros(bias.shape(), wide, h.device()) : Tensor();
  const Tensor w = weight.value_as(h.dtype());
  const auto& kernel = table(h);
  for (int64_t begin = 0; begin < rows; begin += chunk) {
    const int64_t end = std::min(rows, begin + chunk);
    const Tensor part = h.slice(0, begin, end);
    const Tensor logits = Tensor::empty({end - begin, classes}, wide, h.device());  // [r, V], becomes d logits in place
    kernel.matmul.gemm(part, w, view_or_absent(bias.value()), logits, {.transpose_b = true});
    if (best.defined()) kernel.reduce.arg_max(logits, best.slice(0, begin, end));
    kernel.cross_entropy.forward(logits, target.reshape({-1}).slice(0, begin, end), nll.slice(0, begin, end),
                                 smoothed.defined() ? smoothed.slice(0, begin, end).view() : absent(), train ? logits.view() : absent(), kernel_options(options));
    if (!train) continue;
    if (db.defined()) kernel.reduce.column_sum(logits, db, true);
    const Tensor dz = cast_tensor(logits, h.dtype());
    kernel.matmul.gemm(dz, w, absent(), as_rows(dh).slice(0, begin, end), {});
    if (dw.defined()) kernel.matmul.gemm(dz, part, absent(), dw, {.transpose_a = true, .accumulate = true});
  }
  const Tensor loss = scaled_sum(smoothed.defined() ? smoothed : nll, options.scale);
  return {record("linear_cross_entropy", loss, {hidden, weight, bias}, [dh, dw, db](const BackwardContext& context) {
            const Tensor& seed = context.gradient();
            if (context.needs(0)) context.give(0, times(dh, seed));
            if (context.needs(1)) context.give(1, times(dw, seed));
            if (context.needs(2)) context.give(2, times(db, seed));
          }), nll, best};
}

}  // namespace longhaul::ops
