#include "framework/kernels/backend.h"
#include "framework/optim/kinds.h"

namespace longhaul::optim {

Sgd::Sgd(const std::vector<Parameter>& parameters, const OptimizerOptions& options) : Optimizer(parameters, options) {
  if (options.momentum == 0) return;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    velocity_.push_back(keep(i, "velocity", parameters_[i].variable.shape()));
  }
}

void Sgd::update_one(size_t index, double learning_rate, double gradient_scale) {
  const Variable& parameter = parameters_[index].variable;
  kernels::SgdOptions options;
  options.learning_rate = static_cast<float>(learning_rate);
  options.momentum = static_cast<float>(options_.momentum);
  options.weight_decay = static_cast<float>(weight_decay_of(index));
  options.gradient_scale = static_cast<float>(gradient_scale);
  options.nesterov = options_.nesterov;
  kernels::backend(parameter.device())
      .optimizer.sgd(parameter.value(), parameter.gradient(), velocity_.empty() ? absent() : velocity_[index].view(),
                     options);
}

}  // namespace longhaul::optim
