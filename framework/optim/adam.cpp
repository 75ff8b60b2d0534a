#include <cmath>

#include "framework/kernels/backend.h"
#include "framework/optim/kinds.h"

namespace longhaul::optim {

Adam::Adam(const std::vector<Parameter>& parameters, const OptimizerOptions& options) : Optimizer(parameters, options) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    m_.push_back(keep(i, "m", parameters_[i].variable.shape()));
    v_.push_back(keep(i, "v", parameters_[i].variable.shape()));
  }
}

void Adam::update_one(size_t index, double learning_rate, double gradient_scale) {
  const Variable& parameter = parameters_[index].variable;
  const auto t = static_cast<double>(updates());
  kernels::AdamOptions options;
  options.learning_rate = static_cast<float>(learning_rate);
  options.beta1 = static_cast<float>(options_.beta1);
  options.beta2 = static_cast<float>(options_.beta2);
  options.eps = static_cast<float>(options_.eps);
  options.weight_decay = static_cast<float>(weight_decay_of(index));
  options.gradient_scale = static_cast<float>(gradient_scale);
  options.correction1 = static_cast<float>(1 - std::pow(options_.beta1, t));
  options.correction2 = static_cast<float>(1 - std::pow(options_.beta2, t));
  options.decoupled = options_.kind == OptimizerKind::kAdamW;
  kernels::backend(parameter.device())
      .optimizer.adam(parameter.value(), parameter.gradient(), m_[index], v_[index], options);
}

}  // namespace longhaul::optim
