// defines: RotaryOptions, RotaryKernels
#pragma once
#include "framework/kernels/kernel.h"

namespace longhaul::kernels {

struct RotaryOptions {
  double base = 10000;
  bool inverse = false;  // rotate back: the gradient
};

/// Rotary position embedding (Su et al. 2021, equation 34): pair (i, i + d/2) is turned by position * base^(-2i/d).
struct RotaryKernels {
  /// y [B, N, H, d] from x [B, N, H, d] (both may be strided, last axis adjacent; y may be x), position [B, N] or [N] i32.
  Kernel<const View& /*x*/, const View& /*position*/, const View& /*y*/, const RotaryOptions&> rotate{"rotary.rotate"};

  template <typename F>
  void each(F f) { f(rotate); }
};

}  // namespace longhaul::kernels
