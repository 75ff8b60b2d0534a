#include "framework/autograd/variable.h"

#include "framework/kernels/backend.h"
#include "framework/tensor/memory.h"

namespace longhaul {
namespace {

std::shared_ptr<GradientSlot> make_slot(const Tensor& value, bool parameter) {
  auto slot = std::make_shared<GradientSlot>();
  slot->shape = value.shape();
  slot->dtype = value.dtype();
  slot->device = value.device();
  slot->parameter = parameter;
  return slot;
}

}  // namespace

Variable Variable::leaf(Tensor value) {
  auto slot = make_slot(value, false);
  return {std::move(value), std::move(slot)};
}

Variable Variable::parameter(Tensor value) {
  auto slot = make_slot(value, true);
  return {std::move(value), std::move(slot)};
}

Tensor Variable::gradient() const {
  if (!needs_gradient()) return {};
  if (!slot_->gradient.defined()) {
    const MemoryScope scope(slot_->parameter ? MemoryFamily::kGradients : MemoryScope::current());
    slot_->gradient = Tensor::empty(slot_->shape, slot_->dtype, slot_->device);
  }
  if (slot_->stale) {
    slot_->gradient.zero();
    slot_->stale = false;
  }
  return slot_->gradient;
}

void Variable::clear_gradient() const {
  if (!slot_) return;
  slot_->stale = true;
  if (!slot_->parameter) slot_->gradient = {};
}

Tensor Variable::value_as(DType dtype) const {
  if (value_.dtype() == dtype) return value_;
  const bool keeps = slot_ && slot_->parameter;
  if (keeps && slot_->rounded.defined() && slot_->rounded.dtype() == dtype && slot_->rounded_version == slot_->version) return slot_->rounded;
  const MemoryScope scope(keeps ? MemoryFamily::kParameters : MemoryScope::current());
  const bool reuse = keeps && slot_->rounded.defined() && slot_->rounded.dtype() == dtype;
  Tensor copy = reuse ? slot_->rounded : Tensor::empty(value_.shape(), dtype, value_.device());
  kernels::backend(value_.device()).elementwise.axpby(value_, copy, 1.0f, 0.0f);
  if (keeps) {
    slot_->rounded = copy;
    slot_->rounded_version = slot_->version;
  }
  return copy;
}

void Variable::freeze() const {
  if (!slot_) return;
  slot_->wanted = false;
  slot_->gradient = {};
}

void Variable::changed() const {
  if (slot_) ++slot_->version;
}

}  // namespace longhaul
