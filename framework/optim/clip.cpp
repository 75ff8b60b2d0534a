#include "framework/optim/clip.h"

#include <cmath>

#include "framework/base/error.h"
#include "framework/kernels/backend.h"
#include "framework/tensor/memory.h"

namespace longhaul::optim {

GradientMeter::GradientMeter(const std::vector<Parameter>& parameters) {
  if (parameters.empty()) return;
  const MemoryScope scope(MemoryFamily::kWorkspace);
  squares_ = Tensor::zeros({static_cast<int64_t>(parameters.size())}, DType::kF64, parameters[0].variable.device());
}

GradientNorm GradientMeter::measure(const std::vector<Parameter>& parameters) const {
  GradientNorm out;
  if (parameters.empty()) return out;
  check<ShapeError>(squares_.size(0) == static_cast<int64_t>(parameters.size()),
                    "[clip] made for {} parameters, asked about {}", squares_.size(0), parameters.size());
  const auto& kernels = kernels::backend(squares_.device());
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    kernels.reduce.sum_of_squares(parameters[i].variable.gradient(), squares_.slice(0, at, at + 1));
  }
  if (squares_.device().is_meta()) return out;
  double total = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    const double square = squares_.data<double>()[i];
    if (!std::isfinite(square) && out.first_bad.empty()) out.first_bad = parameters[i].name;
    total += square;
  }
  out.norm = std::sqrt(total);
  return out;
}

double clip_coefficient(double norm, double limit) {
  if (limit == 0) return 1;
  const double coefficient = limit / (norm + 1e-6);
  return coefficient >= 1 ? 1 : coefficient;
}

}  // namespace longhaul::optim
