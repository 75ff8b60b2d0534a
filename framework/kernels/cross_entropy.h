// defines: CrossEntropyOptions, CrossEntropyKernels
#pragma once
#include "framework/kernels/kernel.h"

namespace longhaul::kernels {

struct CrossEntropyOptions {
  float label_smoothing = 0;  // weight of the mean over all classes
  float scale = 1;            // factor on dlogits
};

/// Cross-entropy of rows of logits against one class each.
struct CrossEntropyKernels {
  /// logits [R, V] f32, bf16 or f64, contiguous; target [R] i32, -1 = not scored; a target outside [-1, V) fails the call.
  /// nll [R]: -log p(target), unsmoothed, 0 where not scored; smoothed [R] or absent: (1-e) nll + e mean_v(-log p_v).
  /// nll and smoothed are f32 (f64 for f64). dlogits [R, V] in any of these types or absent, may be logits: scale (softmax - (1-e) onehot - e/V), 0 in rows that are not scored.
  Kernel<const View& /*logits*/, const View& /*target*/, const View& /*nll*/, const View& /*smoothed*/, const View& /*dlogits*/,
         const CrossEntropyOptions&> forward{"cross_entropy.forward"};

  template <typename F>
  void each(F f) { f(forward); }
};

}  // namespace longhaul::kernels
