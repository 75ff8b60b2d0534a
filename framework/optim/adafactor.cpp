#include <algorithm>
#include <cmath>

#include "framework/kernels/backend.h"
#include "framework/optim/kinds.h"
#include "framework/tensor/memory.h"

namespace longhaul::optim {
namespace {

constexpr double kSmallestScale = 1e-3;  // eps2 of the paper, algorithm 6

// The shape without one axis.
Shape without(const Shape& shape, int axis) {
  std::vector<int64_t> sizes(shape.sizes().begin(), shape.sizes().end());
  sizes.erase(sizes.begin() + (axis < 0 ? axis + shape.rank() : axis));
  return Shape(std::span<const int64_t>(sizes));
}

}  // namespace

Adafactor::Adafactor(const std::vector<Parameter>& parameters, const OptimizerOptions& options)
    : Optimizer(parameters, options) {
  int64_t largest = 0;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Shape& shape = parameters_[i].variable.shape();
    Moments moments;
    if (shape.rank() >= 2) {
      moments.row = keep(i, "row", without(shape, -1));
      moments.column = keep(i, "column", without(shape, -2));
    } else {
      moments.v = keep(i, "v", shape);
    }
    if (options_.factor_beta1 != 0) moments.first = keep(i, "m", shape);
    moments_.push_back(moments);
    largest = std::max(largest, shape.elements());
  }
  if (parameters_.empty()) return;
  const MemoryScope scope(MemoryFamily::kWorkspace);
  update_ = Tensor::zeros({largest}, DType::kF32, parameters_[0].variable.device());
  square_ = Tensor::zeros({1}, DType::kF64, parameters_[0].variable.device());
}

double Adafactor::root_mean_square(const Tensor& value) const {
  kernels::backend(value.device()).reduce.sum_of_squares(value, square_);
  if (value.device().is_meta() || value.elements() == 0) return 0;
  return std::sqrt(square_.data<double>()[0] / static_cast<double>(value.elements()));
}

void Adafactor::update_one(size_t index, double learning_rate, double gradient_scale) {
  const Variable& parameter = parameters_[index].variable;
  const Moments& moments = moments_[index];
  const auto t = static_cast<double>(updates());
  double rho = learning_rate;
  if (options_.relative_step) rho = std::min(options_.warmup_init ? 1e-6 * t : 1e-2, 1 / std::sqrt(t));
  double alpha = rho;
  if (options_.scale_parameter) alpha *= std::max(kSmallestScale, root_mean_square(parameter.value()));

  kernels::AdafactorOptions options;
  options.alpha = static_cast<float>(alpha);
  options.beta2 = static_cast<float>(1 - std::pow(t, -options_.decay_rate));
  options.beta1 = static_cast<float>(options_.factor_beta1);
  options.clip_threshold = static_cast<float>(options_.clip_threshold);
  options.weight_decay = static_cast<float>(weight_decay_of(index));
  options.gradient_scale = static_cast<float>(gradient_scale);
  const Tensor update = update_.slice(0, 0, parameter.value().elements()).reshape(parameter.shape());
  kernels::backend(parameter.device())
      .optimizer.adafactor(parameter.value(), parameter.gradient(), view_or_absent(moments.row),
                           view_or_absent(moments.column), view_or_absent(moments.v), view_or_absent(moments.first),
                           update, options);
}

}  // namespace longhaul::optim
