#include "framework/nn/module.h"

#include <set>

#include "framework/base/error.h"
#include "framework/tensor/memory.h"

namespace longhaul::nn {

void Module::add(std::string name, const Variable& parameter) { entries_.push_back({std::move(name), parameter, nullptr}); }

void Module::add(std::string name, Module& part) { entries_.push_back({std::move(name), {}, &part}); }

void Module::collect(const std::string& prefix, std::vector<NamedParameter>& into) const {
  for (const Entry& entry : entries_) {
    if (entry.part) entry.part->collect(entry.name.empty() ? prefix : prefix + entry.name + ".", into);
    else if (entry.parameter.defined()) into.push_back({prefix + entry.name, entry.parameter});
  }
}

std::vector<NamedParameter> Module::parameters() const {
  std::vector<NamedParameter> all, once;
  collect("", all);
  std::set<const GradientSlot*> seen;
  for (NamedParameter& entry : all) {
    if (!entry.variable.needs_gradient() || seen.insert(entry.variable.slot().get()).second) once.push_back(std::move(entry));
  }
  return once;
}

Variable Initializer::make(const Shape& shape, const std::function<double(int64_t)>& value) {
  const MemoryScope scope(MemoryFamily::kParameters);
  const Tensor tensor = Tensor::empty(shape, dtype_, device_);
  if (device_.is_meta()) return Variable::parameter(tensor);
  check(device_.is_host() && (dtype_ == DType::kF32 || dtype_ == DType::kF64), "[init] parameters are made as f32 or f64 on a host device, asked for {} on {}",
        dtype_, name_of(device_));
  const int64_t count = tensor.elements();
  double* wide = dtype_ == DType::kF64 ? tensor.data<double>() : nullptr;
  float* narrow = wide ? nullptr : tensor.data<float>();
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < count; ++i) {
    if (wide) wide[i] = value(i);
    else narrow[i] = static_cast<float>(value(i));
  }
  return Variable::parameter(tensor);
}

Variable Initializer::normal(const Shape& shape, double deviation) {
  const RandomStream stream{.seed = seed_, .step = 0, .layer = made_++, .purpose = RandomPurpose::kInit};
  return make(shape, [&](int64_t i) { return deviation * stream.normal(static_cast<uint64_t>(i)); });
}

Variable Initializer::constant(const Shape& shape, double value) {
  ++made_;
  return make(shape, [&](int64_t) { return value; });
}

Variable Initializer::buffer(const Shape& shape, double value) { return Variable(constant(shape, value).value()); }

}  // namespace longhaul::nn
