// defines: MergeKernels
#pragma once
#include "framework/kernels/kernel.h"

namespace longhaul::kernels {

/// Joining of attention results over different keys by their log-sum-exp: exact, as if all keys had been one call.
///
///   lse = ln sum_p exp lse_p,   out = sum_p exp(lse_p - lse) out_p
///
/// out [B, H, N, d] with free strides except the last, which is 1; lse [B, H, N] contiguous, f32 (f64 for f64). A row
/// with lse -inf has seen nothing and weighs nothing. Every out may be f32 or the operands' dtype.
struct MergeKernels {
  /// (out, lse) becomes the join of itself and (part, part_lse).
  Kernel<const View& /*part*/, const View& /*part_lse*/, const View& /*out*/, const View& /*lse*/> add{"merge.add"};
  /// Gradient of one part: w = exp(part_lse - lse), dpart = w dout, dpart_lse = w (dout . (part - out) + dlse). dout or
  /// dlse may be absent (zero). Rows with lse -inf have no gradient.
  Kernel<const View& /*part*/, const View& /*part_lse*/, const View& /*out*/, const View& /*lse*/, const View& /*dout*/,
         const View& /*dlse*/, const View& /*dpart*/, const View& /*dpart_lse*/>
      backward{"merge.backward"};

  template <typename F>
  void each(F f) {
    f(add), f(backward);
  }
};

}  // namespace longhaul::kernels
