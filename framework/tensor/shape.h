// defines: Shape, Strides
#pragma once
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "framework/tensor/dtype.h"

namespace longhaul {

inline constexpr int kMaxRank = 8;

/// Up to eight non-negative 64-bit sizes, slowest axis first. A scalar has rank 0 and one element.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes);
  explicit Shape(std::span<const int64_t> sizes);

  int rank() const { return rank_; }
  int64_t operator[](int axis) const { return sizes_[axis < 0 ? axis + rank_ : axis]; }
  int64_t& operator[](int axis) { return sizes_[axis < 0 ? axis + rank_ : axis]; }
  /// Product of all sizes; throws ShapeError when it does not fit 63 bits.
  int64_t elements() const;
  std::span<const int64_t> sizes() const { return {sizes_.data(), static_cast<size_t>(rank_)}; }
  bool operator==(const Shape& other) const;
  /// "[2, 8, 4096, 64]"
  std::string text() const;

 private:
  std::array<int64_t, kMaxRank> sizes_{};
  int rank_ = 0;
};

using Strides = std::array<int64_t, kMaxRank>;  // in elements

/// Row-major strides of a shape.
Strides contiguous_strides(const Shape& shape);

}  // namespace longhaul

// fmt/core.h declares the formatter of text but does not define it, so these copy the characters themselves.
template <>
struct fmt::formatter<longhaul::Shape> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <typename Context>
  auto format(const longhaul::Shape& shape, Context& context) const {
    const std::string text = shape.text();
    return std::copy(text.begin(), text.end(), context.out());
  }
};

template <>
struct fmt::formatter<longhaul::DType> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <typename Context>
  auto format(longhaul::DType dtype, Context& context) const {
    const std::string_view text = longhaul::name_of(dtype);
    return std::copy(text.begin(), text.end(), context.out());
  }
};
