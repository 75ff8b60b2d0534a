// defines: Variable, GradientSlot
#pragma once
#include <cstdint>
#include <memory>

#include "framework/tensor/tensor.h"

namespace longhaul {

/// Where the gradient of one variable gathers. Kept apart from the value, so that the tape keeps no value alive that no
/// backward function needs.
struct GradientSlot {
  Shape shape;
  DType dtype = DType::kF32;
  Device device;
  bool parameter = false;  // belongs to the model: its buffer stays allocated, in the gradients family
  bool wanted = true;      // false: a frozen parameter, which gathers nothing and has no buffer
  Tensor gradient;
  bool stale = true;       // the buffer's content is of an earlier step: the next contribution overwrites it
  uint64_t version = 0;    // of the value; whoever changes a parameter in place calls Variable::changed
  Tensor rounded;          // copy of the value in another dtype (mixed precision), made for `rounded_version`
  uint64_t rounded_version = 0;
};

/// A tensor in a differentiable computation. Copies are the same variable.
class Variable {
 public:
  Variable() = default;
  /// A constant.
  explicit Variable(Tensor value) : value_(std::move(value)) {}
  /// A variable whose gradient is wanted: an input of a check, a rebuilt input of a recomputed part.
  static Variable leaf(Tensor value);
  /// A trainable tensor of a model.
  static Variable parameter(Tensor value);

  bool defined() const { return value_.defined(); }
  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  int64_t size(int axis) const { return value_.size(axis); }
  DType dtype() const { return value_.dtype(); }
  Device device() const { return value_.device(); }
  bool needs_gradient() const { return slot_ && slot_->wanted; }
  const std::shared_ptr<GradientSlot>& slot() const { return slot_; }

  /// The gathered gradient, zeros when nothing was added since clear_gradient; undefined when no gradient is wanted.
  Tensor gradient() const;
  /// The next backward starts from zero. The buffer of a parameter stays allocated.
  void clear_gradient() const;
  /// The same place in the computation without the value, for a backward that needs no more than the gradient.
  Variable without_value() const { return {Tensor(), slot_}; }
  /// The value as `dtype`: itself, or a copy that parameters keep until `changed`.
  Tensor value_as(DType dtype) const;
  /// From here on this parameter gathers no gradient: a backward computes none for it.
  void freeze() const;
  /// Tells that the value was changed in place.
  void changed() const;

 private:
  friend class Tape;
  Variable(Tensor value, std::shared_ptr<GradientSlot> slot) : value_(std::move(value)), slot_(std::move(slot)) {}
  Tensor value_;
  std::shared_ptr<GradientSlot> slot_;
};

}  // namespace longhaul
