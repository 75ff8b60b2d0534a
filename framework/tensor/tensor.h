// defines: Tensor
#pragma once
#include <memory>
#include <vector>

#include "framework/tensor/device.h"
#include "framework/tensor/dtype.h"
#include "framework/tensor/shape.h"
#include "framework/tensor/view.h"

namespace longhaul {

/// A handle on an array of up to eight dimensions. Copies share the storage; `reshape`, `slice` and `transpose` make views.
/// Values are row-major unless a view changed the strides. The elements of an `empty` tensor are undefined.
class Tensor {
 public:
  Tensor() = default;  // undefined: no storage
  static Tensor empty(const Shape& shape, DType dtype, Device device);
  static Tensor zeros(const Shape& shape, DType dtype, Device device);
  /// A tensor on a host device holding `values`, row-major.
  template <typename T>
  static Tensor of(const Shape& shape, const std::vector<T>& values, Device device = Device::cpu()) {
    Tensor out = empty(shape, dtype_of<T>, device);
    out.copy_from_host(values.data(), static_cast<int64_t>(values.size() * sizeof(T)));
    return out;
  }

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  const Strides& strides() const { return strides_; }
  int64_t size(int axis) const { return shape_[axis]; }
  int rank() const { return shape_.rank(); }
  DType dtype() const { return dtype_; }
  Device device() const { return device_; }
  int64_t elements() const { return shape_.elements(); }
  int64_t bytes() const { return elements() * static_cast<int64_t>(size_of(dtype_)); }
  bool contiguous() const { return view().contiguous(); }
  /// How many handles share the storage; 1 means it may be overwritten in place.
  long shared_by() const { return storage_.use_count(); }

  /// First element; T must be the dtype, the device a host device.
  template <typename T>
  T* data() const {
    require(dtype_of<T>);
    return static_cast<T*>(raw());
  }
  void* raw() const;
  View view() const;
  operator View() const { return view(); }

  /// Same elements, other shape; one size may be -1. Needs a contiguous tensor.
  Tensor reshape(std::initializer_list<int64_t> sizes) const { return reshape(std::span<const int64_t>(sizes.begin(), sizes.size())); }
  Tensor reshape(std::span<const int64_t> sizes) const;
  Tensor reshape(const Shape& shape) const { return reshape(shape.sizes()); }
  /// Rows [begin, end) along an axis.
  Tensor slice(int axis, int64_t begin, int64_t end) const;
  /// Axis i of the result is axis order[i] of this tensor.
  Tensor permute(std::initializer_list<int> order) const;
  /// The same memory seen with another shape and element strides, from an element offset; bounds are checked.
  Tensor as_strided(const Shape& shape, const Strides& strides, int64_t offset) const;

  /// Sets all elements to zero bytes (contiguous tensors; nothing happens on meta).
  void zero() const;
  /// Copies `bytes` bytes, which must equal bytes(), into a contiguous tensor on a host device.
  void copy_from_host(const void* source, int64_t bytes) const;

 private:
  struct Storage;
  void require(DType dtype) const;
  std::shared_ptr<Storage> storage_;
  Shape shape_;
  Strides strides_{};
  int64_t offset_ = 0;  // in elements
  DType dtype_ = DType::kF32;
  Device device_;
};

/// A view with nothing in it, for optional operands of kernels.
inline View absent() { return {}; }
inline View view_or_absent(const Tensor& tensor) { return tensor.defined() ? tensor.view() : absent(); }

}  // namespace longhaul
