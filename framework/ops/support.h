// defines: ops::table, ops::like, ops::cast, ops::rows_of
#pragma once
#include "framework/kernels/backend.h"
#include "framework/tensor/tensor.h"

namespace longhaul::ops {

/// The kernels of a tensor's device.
inline const kernels::Backend& table(const Tensor& tensor) { return kernels::backend(tensor.device()); }
/// An uninitialised tensor of the same shape and device.
Tensor like(const Tensor& tensor);
Tensor like(const Tensor& tensor, DType dtype);
/// The same values in another dtype; the tensor itself when it has it already.
Tensor cast_tensor(const Tensor& tensor, DType dtype);
/// The tensor, or a contiguous copy of a strided view.
Tensor dense(const Tensor& tensor);
/// [.., D] seen as [R, D]; contiguous tensors only.
Tensor as_rows(const Tensor& tensor);
/// The dtype statistics and sums are kept in: f64 for f64, else f32.
constexpr DType statistics_dtype(DType dtype) { return dtype == DType::kF64 ? DType::kF64 : DType::kF32; }

}  // namespace longhaul::ops
