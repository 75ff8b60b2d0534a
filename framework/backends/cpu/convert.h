// defines: visit_any, converted
#pragma once
#include <type_traits>

#include "framework/kernels/kernel.h"

namespace longhaul::cpu {

/// Calls f with a value of the element type that `dtype` names.
template <typename F>
kernels::Status visit_any(DType dtype, F f) {
  switch (dtype) {
    case DType::kF32:
      return f(float{});
    case DType::kBF16:
      return f(bfloat16{});
    case DType::kF16:
      return f(float16{});
    case DType::kF64:
      return f(double{});
    case DType::kI32:
      return f(int32_t{});
    case DType::kI64:
      return f(int64_t{});
    case DType::kU8:
      return f(uint8_t{});
  }
  return kernels::Status::kUnsupported;
}

/// A value as another element type; the 16-bit types go through f32.
template <typename To, typename From>
To converted(From value) {
  constexpr bool narrow_from = std::is_same_v<From, bfloat16> || std::is_same_v<From, float16>;
  constexpr bool narrow_to = std::is_same_v<To, bfloat16> || std::is_same_v<To, float16>;
  if constexpr (std::is_same_v<To, From>)
    return value;
  else if constexpr (narrow_from)
    return converted<To>(static_cast<float>(value));
  else if constexpr (narrow_to)
    return To(static_cast<float>(value));
  else
    return static_cast<To>(value);
}

/// y[i * step_y] = x[i * step_x], i < n, between any two types.
void convert_line(DType from, const void* x, int64_t step_x, DType to, void* y, int64_t step_y, int64_t n);

}  // namespace longhaul::cpu
