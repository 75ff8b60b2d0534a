#include "models/compressive/compression.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/linear.h"
#include "framework/ops/reduce.h"
#include "framework/ops/rows.h"
#include "framework/ops/shape.h"
#include "framework/ops/support.h"
#include "framework/tensor/memory.h"

namespace longhaul::models {
namespace {

constexpr int64_t kGap = 2;  // dilated_conv: rows from one input of a slot to the next

/// The mean of the inputs, with noise: I / c + normal(0, deviation / sqrt(c)).
Variable near_mean(int64_t width, int64_t rate, double deviation, nn::Initializer& init) {
  const Variable weight = init.normal({width, rate * width}, deviation / std::sqrt(static_cast<double>(rate)));
  if (init.device().is_meta()) return weight;
  const auto add = [&](auto* to) {
    for (int64_t d = 0; d < width; ++d) {
      for (int64_t t = 0; t < rate; ++t) to[d * rate * width + t * width + d] += 1 / static_cast<std::decay_t<decltype(*to)>>(rate);
    }
  };
  if (weight.dtype() == DType::kF64) add(weight.value().data<double>());
  else add(weight.value().data<float>());
  return weight;
}

}  // namespace

Compression::Compression(const CompressiveOptions& options, nn::Initializer& init) : function_(options.compression.function), rate_(options.rate) {
  if (!options.learns()) return;
  const int64_t width = options.body.dim;
  add("convolution.weight", weight_ = near_mean(width, rate_, options.body.init_std, init));
  add("convolution.bias", bias_ = init.constant({width}, 0));
  if (options.compression.loss != CompressionLoss::kAutoEncoding) return;
  add("decoder.weight", decoder_weight_ = init.normal({rate_ * width, width}, options.body.init_std));
  add("decoder.bias", decoder_bias_ = init.constant({width}, 0));
}

int64_t Compression::oldest(int64_t slot) const {
  const int64_t first = slot * rate_;
  return function_ == CompressionFunction::kDilatedConvolution ? std::max<int64_t>(0, first + (rate_ - 1) * (1 - kGap)) : first;
}

Tensor Compression::pooled(const Tensor& rows) const {
  const int64_t batch = rows.size(0), slots = rows.size(1) / rate_, width = rows.size(2);
  const Tensor groups = rows.reshape({batch * slots, rate_, width});
  const auto& elementwise = ops::table(rows).elementwise;
  const bool largest = function_ == CompressionFunction::kMaxPool;
  // Sums of low-precision rows are added in f32.
  const DType wide = largest ? rows.dtype() : ops::statistics_dtype(rows.dtype());
  const Tensor out = Tensor::empty({batch * slots, 1, width}, wide, rows.device()), next = ops::like(out);
  elementwise.copy(groups.slice(1, 0, 1), out);
  for (int64_t t = 1; t < rate_; ++t) {
    elementwise.copy(groups.slice(1, t, t + 1), next);
    elementwise.binary(out, next, out, largest ? kernels::BinaryOp::kMaximum : kernels::BinaryOp::kAdd);
  }
  if (largest) return out.reshape({batch, slots, width});
  const NoTapeScope quiet;
  return ops::cast_tensor(ops::scale(Variable(out), 1.0 / static_cast<double>(rate_)).value().reshape({batch, slots, width}), rows.dtype());
}

Variable Compression::convolved(const Variable& rows) const {
  const int64_t batch = rows.size(0), count = rows.size(1), slots = count / rate_, width = rows.size(2);
  if (function_ == CompressionFunction::kConvolution) return ops::linear(ops::reshape(rows, {batch, slots, rate_ * width}), weight_, bias_);
  std::vector<int32_t> inputs;
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t s = 0; s < slots; ++s) {
      for (int64_t t = 0; t < rate_; ++t) {
        const int64_t row = s * rate_ + rate_ - 1 - kGap * t;
        inputs.push_back(row < 0 ? -1 : static_cast<int32_t>(b * count + row));
      }
    }
  }
  const MemoryScope scope(MemoryFamily::kWorkspace);
  const Shape shape{batch * slots * rate_};
  const Tensor index = rows.device().is_meta() ? Tensor::empty(shape, DType::kI32, rows.device()) : Tensor::of<int32_t>(shape, inputs, rows.device());
  const Variable taken = ops::embedding(ops::reshape(rows, {batch * count, width}), index, rows.dtype());
  return ops::linear(ops::reshape(taken, {batch, slots, rate_ * width}), weight_, bias_);
}

Variable Compression::operator()(const Variable& rows, const Tensor& kept) const {
  check<InternalError>(rows.size(1) > 0 && rows.size(1) % rate_ == 0, "{} rows to compress at a rate of {}", rows.size(1), rate_);
  const int64_t batch = rows.size(0), slots = rows.size(1) / rate_, width = rows.size(2);
  switch (function_) {
    case CompressionFunction::kConvolution:
    case CompressionFunction::kDilatedConvolution: return convolved(rows);
    case CompressionFunction::kMeanPool:
    case CompressionFunction::kMaxPool: return Variable(pooled(ops::dense(rows.value())));
    case CompressionFunction::kMostUsed: break;
  }
  const Tensor out = Tensor::empty({batch * slots, width}, rows.dtype(), rows.device());
  ops::table(out).rows.gather(ops::as_rows(ops::dense(rows.value())), kept, out);
  return Variable(out.reshape({batch, slots, width}));
}

Variable Compression::decode(const Variable& slots) const {
  const int64_t batch = slots.size(0), count = slots.size(1), width = slots.size(2);
  const Variable rows = ops::reshape(ops::linear(slots, decoder_weight_, {}), {batch, count * rate_, width});
  return ops::add(rows, ops::cast(decoder_bias_, rows.dtype()));
}

Variable mean_square(const Variable& a, const Variable& b) {
  const DType wide = ops::statistics_dtype(a.dtype());
  return ops::mean(ops::unary(ops::subtract(ops::cast(a, wide), ops::cast(b, wide)), ops::UnaryOp::kSquare));
}

Tensor most_used(const Tensor& usage, const std::vector<int64_t>& steps, int64_t rate) {
  const int64_t batch = usage.size(0), rows = usage.size(1), slots = rows / rate;
  if (usage.device().is_meta()) return Tensor::empty({batch * slots}, DType::kI32, usage.device());
  std::vector<int32_t> kept;
  const auto value = [&](int64_t n) {
    const double sum = usage.dtype() == DType::kF64 ? usage.data<double>()[n] : static_cast<double>(usage.data<float>()[n]);
    const double share = sum / static_cast<double>(std::max<int64_t>(1, steps[static_cast<size_t>(n % rows)]));
    return std::isnan(share) ? -1.0 : share;  // an order needs numbers
  };
  for (int64_t b = 0; b < batch; ++b) {
    std::vector<int32_t> order(static_cast<size_t>(rows));
    std::iota(order.begin(), order.end(), static_cast<int32_t>(b * rows));
    std::stable_sort(order.begin(), order.end(), [&](int32_t x, int32_t y) { return value(x) > value(y); });
    std::sort(order.begin(), order.begin() + slots);
    kept.insert(kept.end(), order.begin(), order.begin() + slots);
  }
  return Tensor::of<int32_t>({batch * slots}, kept, usage.device());
}

}  // namespace longhaul::models
