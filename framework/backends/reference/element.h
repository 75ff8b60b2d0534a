// defines: Wide, visit, kFloating, kEveryType
#pragma once
#include <type_traits>

#include "framework/kernels/element_types.h"

namespace longhaul::reference {

using kernels::converted, kernels::visit_any;

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

}  // namespace longhaul::reference
