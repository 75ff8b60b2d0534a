#include "framework/tensor/shape.h"

#include <algorithm>

#include "framework/base/error.h"

namespace longhaul {

Shape::Shape(std::initializer_list<int64_t> sizes) : Shape(std::span<const int64_t>(sizes.begin(), sizes.size())) {}

Shape::Shape(std::span<const int64_t> sizes) : rank_(static_cast<int>(sizes.size())) {
  check<ShapeError>(sizes.size() <= kMaxRank, "[tensor] {} dimensions, at most {} are supported", sizes.size(), kMaxRank);
  std::copy(sizes.begin(), sizes.end(), sizes_.begin());
  for (const int64_t size : sizes) {
    if (size < 0) fail<ShapeError>("[tensor] negative size {} in shape {}", size, text());
  }
}

int64_t Shape::elements() const {
  int64_t product = 1;
  bool empty = false;
  for (const int64_t size : sizes()) {
    if (size == 0) empty = true;
    else if (__builtin_mul_overflow(product, size, &product)) fail<ShapeError>("[tensor] shape {} has too many elements", text());
  }
  return empty ? 0 : product;
}

bool Shape::operator==(const Shape& other) const { return std::ranges::equal(sizes(), other.sizes()); }

std::string Shape::text() const {
  std::string out = "[";
  for (int axis = 0; axis < rank_; ++axis) out += (axis ? ", " : "") + std::to_string(sizes_[axis]);
  return out + "]";
}

Strides contiguous_strides(const Shape& shape) {
  Strides strides{};
  int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[axis] = step;
    step *= shape[axis];
  }
  return strides;
}

}  // namespace longhaul
