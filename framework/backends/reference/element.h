// defines: Wide, visit, visit_any, kFloating, kEveryType
#pragma once
#include <type_traits>

#include "framework/kernels/kernel.h"

namespace longhaul::reference {

inline constexpr kernels::DTypeSet kFloating = {DType::kF32, DType::kBF16, DType::kF64};

inline constexpr kernels::DTypeSet kEveryType = {DType::kF32, DType::kBF16, DType::kF16, DType::kF64,
                                                 DType::kI32, DType::kI64,  DType::kU8};

/// The type arithmetic is done in: f64 for f64, else f32.
template <typename T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

/// Calls f with a value of the element type that `dtype` names, so that `decltype` gives the type: f32, bf16 or f64.
template <typename F>
kernels::Status visit(DType dtype, F f) {
  switch (dtype) {
    case DType::kF32:
      return f(float{});
    case DType::kBF16:
      return f(bfloat16{});
    case DType::kF64:
      return f(double{});
    default:
      return kernels::Status::kUnsupported;
  }
}

/// The same over every element type.
template <typename F>
kernels::Status visit_any(DType dtype, F f) {
  switch (dtype) {
    case DType::kF16:
      return f(float16{});
    case DType::kI32:
      return f(int32_t{});
    case DType::kI64:
      return f(int64_t{});
    case DType::kU8:
      return f(uint8_t{});
    default:
      return visit(dtype, f);
  }
}

/// A value of type From as To. The two 16-bit types go through f32.
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

}  // namespace longhaul::reference
