// defines: kernels::visit_any, kernels::converted
#pragma once
#include <type_traits>

#include "framework/kernels/kernel.h"

namespace longhaul::kernels {

/// Calls f with a value of the element type that `dtype` names, so that `decltype` gives the type.
template <typename F>
Status visit_any(DType dtype, F f) {
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
  return Status::kUnsupported;
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

}  // namespace longhaul::kernels
