// defines: SoftmaxKernels
#pragma once
#include "framework/kernels/kernel.h"

namespace longhaul::kernels {

/// Softmax and its logarithm over the last axis of contiguous tensors [R, n]; a row of -inf only gives zeros (softmax) or -inf (log).
struct SoftmaxKernels {
  Kernel<const View& /*x*/, const View& /*y*/> forward{"softmax.forward"};
  /// dx = y (dy - sum dy y)
  Kernel<const View& /*y*/, const View& /*dy*/, const View& /*dx*/> backward{"softmax.backward"};
  Kernel<const View& /*x*/, const View& /*y*/> log_forward{"softmax.log_forward"};
  /// dx = dy - exp(y) sum dy
  Kernel<const View& /*y*/, const View& /*dy*/, const View& /*dx*/> log_backward{"softmax.log_backward"};

  template <typename F>
  void each(F f) { f(forward), f(backward), f(log_forward), f(log_backward); }
};

}  // namespace longhaul::kernels
