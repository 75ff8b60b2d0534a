#include "framework/autograd/tape.h"

#include <algorithm>

#include "framework/base/error.h"
#include "framework/kernels/backend.h"
#include "framework/tensor/memory.h"

namespace longhaul {
namespace {

thread_local Tape* current_tape = nullptr;

Tensor new_gradient(const GradientSlot& slot) {
  const MemoryScope scope(slot.parameter ? MemoryFamily::kGradients : MemoryScope::current());
  return Tensor::empty(slot.shape, slot.dtype, slot.device);
}

void add(const Tensor& from, const Tensor& to, float beta) {
  kernels::backend(to.device()).elementwise.axpby(from, to, 1.0f, beta);
}

/// Makes sure that the slot's gradient may be written in place.
void own(GradientSlot& slot) {
  if (slot.gradient.shared_by() == 1) return;
  const Tensor copy = new_gradient(slot);
  add(slot.gradient, copy, 0.0f);
  slot.gradient = copy;
}

}  // namespace

const Tensor& BackwardContext::gradient(int output) const { return gradients_[output]; }

bool BackwardContext::needs(int input) const { return inputs_[input] != nullptr; }

void BackwardContext::give(int input, const Tensor& gradient) const {
  GradientSlot* slot = inputs_[input].get();
  if (!slot) return;
  check<InternalError>(gradient.shape() == slot->shape, "a gradient has shape {}, its variable {}", gradient.shape(), slot->shape);
  if (slot->stale) {
    if (slot->parameter || gradient.dtype() != slot->dtype || !gradient.contiguous()) {
      if (!slot->gradient.defined()) slot->gradient = new_gradient(*slot);
      own(*slot);
      if (gradient.contiguous()) add(gradient, slot->gradient, 0.0f);
      else kernels::backend(slot->device).elementwise.copy(gradient, slot->gradient);
    } else {
      slot->gradient = gradient;
    }
    slot->stale = false;
    return;
  }
  if (!gradient.contiguous()) {
    const Tensor dense = Tensor::empty(gradient.shape(), gradient.dtype(), gradient.device());
    kernels::backend(slot->device).elementwise.copy(gradient, dense);
    return give(input, dense);
  }
  if (slot->gradient.shared_by() == 1) return add(gradient, slot->gradient, 1.0f);
  const Tensor sum = new_gradient(*slot);  // the present gradient is shared: out of place
  add(slot->gradient, sum, 0.0f);
  add(gradient, sum, 1.0f);
  slot->gradient = sum;
}

GradientBuffer BackwardContext::buffer(int input) const {
  GradientSlot& slot = *inputs_[input];
  if (!slot.gradient.defined()) slot.gradient = new_gradient(slot);
  own(slot);
  const bool accumulate = !slot.stale;
  slot.stale = false;
  return {slot.gradient, accumulate};
}

Tape* Tape::current() { return current_tape; }

std::vector<Variable> Tape::record(const char* name, std::span<const Tensor> outputs, std::span<const Variable> inputs, BackwardFunction backward) {
  Record made{name, {}, {}, std::move(backward)};
  made.inputs.reserve(inputs.size());
  for (const Variable& input : inputs) made.inputs.push_back(input.needs_gradient() ? input.slot() : nullptr);
  std::vector<Variable> results;
  results.reserve(outputs.size());
  for (const Tensor& output : outputs) {
    results.push_back(Variable::leaf(output));
    made.outputs.push_back(results.back().slot());
  }
  records_.push_back(std::move(made));
  return results;
}

void Tape::backward(std::span<const Variable> roots, std::vector<Tensor> seeds) {
  check<InternalError>(roots.size() == seeds.size(), "{} roots but {} seeds", roots.size(), seeds.size());
  std::vector<std::shared_ptr<GradientSlot>> slots;
  for (const Variable& root : roots) slots.push_back(root.slot());
  const BackwardContext start(slots, {});
  for (size_t i = 0; i < seeds.size(); ++i) {
    if (seeds[i].defined()) start.give(static_cast<int>(i), seeds[i]);
  }
  slots.clear();
  seeds.clear();
  // Gradient computations are not themselves differentiated.
  const NoTapeScope quiet;
  while (!records_.empty()) {
    Record step = std::move(records_.back());
    records_.pop_back();
    std::vector<Tensor> gradients;
    bool reached = false;
    for (auto& output : step.outputs) {
      gradients.push_back(output->stale ? Tensor() : output->gradient);
      output->gradient = {};
      output->stale = true;
      reached = reached || gradients.back().defined();
    }
    step.outputs.clear();
    if (reached) step.backward(BackwardContext(step.inputs, gradients));
  }
}

TapeScope::TapeScope() : previous_(current_tape) { current_tape = &tape_; }
TapeScope::~TapeScope() { current_tape = previous_; }
NoTapeScope::NoTapeScope() : previous_(current_tape) { current_tape = nullptr; }
NoTapeScope::~NoTapeScope() { current_tape = previous_; }

bool will_record(std::initializer_list<Variable> inputs) {
  return current_tape && std::ranges::any_of(inputs, [](const Variable& input) { return input.needs_gradient(); });
}

Variable record(const char* name, const Tensor& output, std::initializer_list<Variable> inputs, BackwardFunction backward) {
  return record(name, {&output, 1}, std::span<const Variable>(inputs.begin(), inputs.size()), std::move(backward)).front();
}

std::vector<Variable> record(const char* name, std::span<const Tensor> outputs, std::span<const Variable> inputs, BackwardFunction backward, bool always) {
  const bool wanted = always || std::ranges::any_of(inputs, [](const Variable& input) { return input.needs_gradient(); });
  if (current_tape && wanted) return current_tape->record(name, outputs, inputs, std::move(backward));
  std::vector<Variable> constants;
  for (const Tensor& output : outputs) constants.emplace_back(output);
  return constants;
}

}  // namespace longhaul
