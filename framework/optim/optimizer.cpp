#include "framework/optim/optimizer.h"

#include "framework/base/error.h"
#include "framework/optim/kinds.h"
#include "framework/tensor/memory.h"

namespace longhaul::optim {

Optimizer::Optimizer(std::vector<Parameter> parameters, OptimizerOptions options)
    : parameters_(std::move(parameters)), options_(std::move(options)) {
  for (const Parameter& parameter : parameters_) decays_.push_back(!matches_any(parameter.name, options_.no_decay));
}

Tensor Optimizer::keep(size_t index, const std::string& suffix, const Shape& shape) {
  const MemoryScope scope(MemoryFamily::kOptimizer);
  Tensor tensor = Tensor::zeros(shape, DType::kF32, parameters_[index].variable.device());
  kept_.push_back({parameters_[index].name + "." + suffix, tensor});
  return tensor;
}

void Optimizer::update(double learning_rate, double gradient_scale) {
  update(learning_rate, [gradient_scale](size_t) { return gradient_scale; });
}

void Optimizer::update(double learning_rate, const std::function<double(size_t)>& gradient_scale) {
  ++updates_;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    update_one(i, learning_rate, gradient_scale(i));
    parameters_[i].variable.changed();
  }
}

void Optimizer::rebind(const std::vector<Parameter>& parameters) {
  check<InternalError>(parameters.size() == parameters_.size(), "{} parameters cannot take the place of {}",
                       parameters.size(), parameters_.size());
  for (size_t i = 0; i < parameters.size(); ++i) {
    const Parameter &now = parameters[i], &before = parameters_[i];
    check<InternalError>(now.name == before.name && now.variable.shape() == before.variable.shape(),
                         "parameter {} {} cannot take the place of {} {}", now.name, now.variable.shape(), before.name,
                         before.variable.shape());
  }
  parameters_ = parameters;
}

void Optimizer::save_state(StateWriter& out) const {
  out.integer("t", updates_);
  for (const Kept& kept : kept_) out.tensor(kept.name, kept.tensor);
}

void Optimizer::load_state(StateReader& in) {
  updates_ = in.integer("t");
  for (const Kept& kept : kept_) in.tensor(kept.name, kept.tensor);
}

std::unique_ptr<Optimizer> make_optimizer(const std::vector<Parameter>& parameters, const OptimizerOptions& options) {
  switch (options.kind) {
    case OptimizerKind::kAdamW:
    case OptimizerKind::kAdam:
      return std::make_unique<Adam>(parameters, options);
    case OptimizerKind::kAdafactor:
      return std::make_unique<Adafactor>(parameters, options);
    case OptimizerKind::kSgd:
      break;
  }
  return std::make_unique<Sgd>(parameters, options);
}

}  // namespace longhaul::optim
