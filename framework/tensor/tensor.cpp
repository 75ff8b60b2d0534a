#include "framework/tensor/tensor.h"

#include <cstring>

#include "framework/base/error.h"
#include "framework/tensor/memory.h"

namespace longhaul {

struct Tensor::Storage {
  explicit Storage(DeviceMemory& from, int64_t bytes) : memory(from), block(from.allocate(bytes)) {}
  ~Storage() { memory.release(block); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  DeviceMemory& memory;
  DeviceMemory::Block block;
};

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  Tensor out;
  int64_t bytes = 0;
  check<ShapeError>(!__builtin_mul_overflow(shape.elements(), static_cast<int64_t>(size_of(dtype)), &bytes),
                    "[tensor] shape {} has too many bytes", shape);
  out.storage_ = std::make_shared<Storage>(device_memory(device), bytes);
  out.shape_ = shape;
  out.strides_ = contiguous_strides(shape);
  out.dtype_ = dtype;
  out.device_ = device;
  return out;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor out = empty(shape, dtype, device);
  out.zero();
  return out;
}

void Tensor::require(DType dtype) const {
  check<ShapeError>(dtype_ == dtype, "[tensor] elements are {}, asked for {}", dtype_, dtype);
}

void* Tensor::raw() const {
  check<ShapeError>(defined(), "[tensor] an undefined tensor has no data");
  return storage_->block.data ? static_cast<char*>(storage_->block.data) + offset_ * static_cast<int64_t>(size_of(dtype_)) : nullptr;
}

View Tensor::view() const { return {raw(), dtype_, shape_, strides_, true}; }

Tensor Tensor::reshape(std::span<const int64_t> sizes) const {
  check<ShapeError>(contiguous(), "[reshape] tensor {} is a strided view", shape_);
  Shape target;
  int64_t known = 1;
  int inferred = -1;
  std::array<int64_t, kMaxRank> copy{};
  check<ShapeError>(sizes.size() <= kMaxRank, "[reshape] {} dimensions, at most {} are supported", sizes.size(), kMaxRank);
  for (size_t axis = 0; axis < sizes.size(); ++axis) {
    copy[axis] = sizes[axis];
    if (sizes[axis] == -1) inferred = static_cast<int>(axis);
    else known *= sizes[axis];
  }
  if (inferred >= 0) copy[inferred] = known > 0 ? elements() / known : 0;
  target = Shape(std::span<const int64_t>(copy.data(), sizes.size()));
  check<ShapeError>(target.elements() == elements(), "[reshape] {} elements of shape {} do not fill shape {}", elements(), shape_, target);
  Tensor out = *this;
  out.shape_ = target;
  out.strides_ = contiguous_strides(target);
  return out;
}

Tensor Tensor::slice(int axis, int64_t begin, int64_t end) const {
  const int along = axis < 0 ? axis + rank() : axis;
  check<ShapeError>(along >= 0 && along < rank(), "[slice] axis {} is out of range for shape {}", axis, shape_);
  check<ShapeError>(0 <= begin && begin <= end && end <= shape_[along], "[slice] rows {}..{} are out of range for axis {} of shape {}", begin, end, along, shape_);
  Tensor out = *this;
  out.shape_[along] = end - begin;
  out.offset_ += begin * strides_[along];
  return out;
}

Tensor Tensor::permute(std::initializer_list<int> order) const {
  check<ShapeError>(static_cast<int>(order.size()) == rank(), "[permute] {} axes given for shape {}", order.size(), shape_);
  Tensor out = *this;
  int axis = 0;
  unsigned seen = 0;
  for (const int from : order) {
    check<ShapeError>(from >= 0 && from < rank() && !(seen >> from & 1u), "[permute] axis {} is out of range or repeated for shape {}", from, shape_);
    seen |= 1u << from;
    out.shape_[axis] = shape_[from];
    out.strides_[axis++] = strides_[from];
  }
  return out;
}

Tensor Tensor::as_strided(const Shape& shape, const Strides& strides, int64_t offset) const {
  int64_t last = offset_ + offset;
  for (int axis = 0; axis < shape.rank(); ++axis) last += shape[axis] > 0 ? (shape[axis] - 1) * strides[axis] : 0;
  check<ShapeError>(defined() && offset >= 0 && (last + 1) * static_cast<int64_t>(size_of(dtype_)) <= storage_->block.bytes,
                    "[as_strided] shape {} at offset {} reaches beyond the storage of shape {}", shape, offset, shape_);
  Tensor out = *this;
  out.shape_ = shape;
  out.strides_ = strides;
  out.offset_ += offset;
  return out;
}

void Tensor::zero() const {
  check<ShapeError>(contiguous(), "[zero] tensor {} is a strided view", shape_);
  if (!device_.is_meta() && bytes() > 0) std::memset(raw(), 0, static_cast<size_t>(bytes()));
}

void Tensor::copy_from_host(const void* source, int64_t count) const {
  check<ShapeError>(contiguous() && count == bytes(), "[tensor] {} bytes given for a tensor {} of {} bytes", count, shape_, bytes());
  if (!device_.is_meta() && count > 0) std::memcpy(raw(), source, static_cast<size_t>(count));
}

}  // namespace longhaul
