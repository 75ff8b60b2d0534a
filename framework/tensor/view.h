// defines: View
#pragma once
#include "framework/tensor/device.h"
#include "framework/tensor/dtype.h"
#include "framework/tensor/shape.h"

namespace longhaul {

/// What a kernel sees of a tensor: plain data without ownership. `data` is null for an absent optional operand and on meta.
struct View {
  void* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;
  Strides strides{};  // in elements
  bool present = false;

  template <typename T>
  T* as() const { return static_cast<T*>(data); }
  int64_t elements() const { return shape.elements(); }
  bool contiguous() const {
    int64_t step = 1;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      if (shape[axis] != 1 && strides[axis] != step) return false;
      step *= shape[axis];
    }
    return true;
  }
};

}  // namespace longhaul
