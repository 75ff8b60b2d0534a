#include "framework/optim/average.h"

#include <algorithm>

#include "framework/base/error.h"
#include "framework/kernels/backend.h"
#include "framework/tensor/memory.h"

namespace longhaul::optim {

MovingAverage::MovingAverage(std::vector<Parameter> parameters, double decay)
    : parameters_(std::move(parameters)), decay_(decay) {
  const MemoryScope scope(MemoryFamily::kState);
  for (const Parameter& parameter : parameters_) {
    averages_.push_back(
        Tensor::empty(parameter.variable.shape(), parameter.variable.dtype(), parameter.variable.device()));
  }
  restart();
}

void MovingAverage::restart() const {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& value = parameters_[i].variable.value();
    kernels::backend(value.device()).elementwise.copy(value, averages_[i]);
  }
}

void MovingAverage::update() const {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& value = parameters_[i].variable.value();
    kernels::backend(value.device()).optimizer.average(value, averages_[i], static_cast<float>(decay_));
  }
}

void MovingAverage::exchange() const {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Variable& parameter = parameters_[i].variable;
    const Tensor& value = parameter.value();
    if (value.device().is_meta()) continue;
    check(value.device().is_host() && value.contiguous(), "[ema] parameter {} on {} cannot be exchanged in place",
          parameters_[i].name, name_of(value.device()));
    auto* bytes = static_cast<std::byte*>(value.raw());
    std::swap_ranges(bytes, bytes + value.bytes(), static_cast<std::byte*>(averages_[i].raw()));
    parameter.changed();
  }
}

void MovingAverage::save_state(StateWriter& out) const {
  for (size_t i = 0; i < parameters_.size(); ++i) out.tensor(parameters_[i].name, averages_[i]);
}

void MovingAverage::load_state(StateReader& in) {
  for (size_t i = 0; i < parameters_.size(); ++i) in.tensor(parameters_[i].name, averages_[i]);
}

}  // namespace longhaul::optim
