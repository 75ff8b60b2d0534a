#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/parallel.h"

namespace longhaul::cpu {
namespace {

using kernels::Status;

template <bool kLog>
Status forward(const View& x, const View& y) {
  if (x.dtype != y.dtype) return Status::kUnsupported;
  const auto leaf = leaves().softmax[lane_of(x.dtype)];
  const int64_t n = x.shape[-1];
  if (n == 0) return Status::kOk;
  for_blocks(x.elements() / n, rows_per_block(n),
             [&](int64_t begin, int64_t end) { leaf(at(x, begin * n), at(y, begin * n), end - begin, n, kLog); });
  return Status::kOk;
}

template <bool kLog>
Status backward(const View& y, const View& dy, const View& dx) {
  if (y.dtype != dy.dtype || y.dtype != dx.dtype) return Status::kUnsupported;
  const auto leaf = leaves().softmax_backward[lane_of(y.dtype)];
  const int64_t n = y.shape[-1];
  if (n == 0) return Status::kOk;
  for_blocks(y.elements() / n, rows_per_block(n), [&](int64_t begin, int64_t end) {
    leaf(at(y, begin * n), at(dy, begin * n), at(dx, begin * n), end - begin, n, kLog);
  });
  return Status::kOk;
}

}  // namespace

void fill_softmax(kernels::SoftmaxKernels& kernels) {
  kernels.forward.set(forward<false>, kFloating);
  kernels.backward.set(backward<false>, kFloating);
  kernels.log_forward.set(forward<true>, kFloating);
  kernels.log_backward.set(backward<true>, kFloating);
}

}  // namespace longhaul::cpu
