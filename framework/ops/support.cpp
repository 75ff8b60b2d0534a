#include "framework/ops/support.h"

namespace longhaul::ops {

Tensor like(const Tensor& tensor) { return like(tensor, tensor.dtype()); }

Tensor like(const Tensor& tensor, DType dtype) { return Tensor::empty(tensor.shape(), dtype, tensor.device()); }

Tensor cast_tensor(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() == dtype) return tensor;
  const Tensor out = like(tensor, dtype);
  table(tensor).elementwise.axpby(tensor, out, 1.0f, 0.0f);
  return out;
}

Tensor dense(const Tensor& tensor) {
  if (tensor.contiguous()) return tensor;
  const Tensor out = like(tensor);
  table(tensor).elementwise.copy(tensor, out);
  return out;
}

Tensor as_rows(const Tensor& tensor) {
  const int64_t width = tensor.rank() > 0 ? tensor.size(-1) : 1;
  return tensor.reshape({width > 0 ? tensor.elements() / width : 0, width});
}

}  // namespace longhaul::ops
