// defines: AdamOptions, SgdOptions, AdafactorOptions, OptimizerKernels
#pragma once
#include "framework/kernels/kernel.h"

namespace longhaul::kernels {

struct AdamOptions {
  float learning_rate = 0, beta1 = 0.9f, beta2 = 0.999f, eps = 1e-8f, weight_decay = 0;
  float gradient_scale = 1;   // clipping coefficient, applied to the gradient as it is read
  float correction1 = 1;      // 1 - beta1^t
  float correction2 = 1;      // 1 - beta2^t
  bool decoupled = true;      // AdamW (Loshchilov & Hutter 2019); false adds weight_decay * w to the gradient (Kingma & Ba 2015 with L2)
};

struct SgdOptions {
  float learning_rate = 0, momentum = 0, weight_decay = 0, gradient_scale = 1;
  bool nesterov = false;
};

/// Shazeer & Stern 2018, algorithms 4 and 6. All factors are computed by the caller from the step and the parameter.
struct AdafactorOptions {
  float alpha = 0;            // step size, relative scale included
  float beta2 = 0;            // 1 - t^-0.8
  float beta1 = 0;            // 0: no first moment
  float eps = 1e-30f, clip_threshold = 1, weight_decay = 0, gradient_scale = 1;
};

/// One parameter tensor a call; everything f32 and contiguous; in place.
struct OptimizerKernels {
  Kernel<const View& /*parameter*/, const View& /*gradient*/, const View& /*m*/, const View& /*v*/, const AdamOptions&> adam{"optimizer.adam"};
  /// velocity is absent when momentum is 0.
  Kernel<const View& /*parameter*/, const View& /*gradient*/, const View& /*velocity*/, const SgdOptions&> sgd{"optimizer.sgd"};
  /// parameter [.., rows, columns]; row [.., rows] and column [.., columns] for rank >= 2, else v like the parameter (the other absent);
  /// first absent when beta1 is 0; update: workspace like the parameter.
  Kernel<const View& /*parameter*/, const View& /*gradient*/, const View& /*row*/, const View& /*column*/, const View& /*v*/, const View& /*first*/,
         const View& /*update*/, const AdafactorOptions&> adafactor{"optimizer.adafactor"};
  /// shadow = decay shadow + (1 - decay) parameter
  Kernel<const View& /*parameter*/, const View& /*shadow*/, float /*decay*/> average{"optimizer.average"};

  template <typename F>
  void each(F f) { f(adam), f(sgd), f(adafactor), f(average); }
};

}  // namespace longhaul::kernels
