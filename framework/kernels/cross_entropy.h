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
  /// logits [R, V] f32 (or f64), target [R] i32, -1 = not scored.
  /// nll [R]: -log p(target), unsmoothed, 0 where not scored; smoothed [R] or absent: (1-e) nll + e mean_v(-log p_v).
  /// dlogits [R, V] or absent, may be logits: scale (softmax - (1-e) onehot - e/V), 0 in rows that are not scored.
  Kernel<const View& /*logits*/, const View& /*target*/, const View& /*nll*/, const View& /*smoothed*/, const View& /*dlogits*/,
         const CrossEntropyOptions&> forward{"cross_entropy.forward"};

  template <typename F>
  void each(F f) { f(forward); }
};

}  // namespace longhaul::kernels
