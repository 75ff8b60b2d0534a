// defines: check_gradient, GradientCheck
#pragma once
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "framework/autograd/variable.h"

namespace longhaul {

struct GradientCheck {
  double max_relative_error = 0;  // largest |analytic - numeric| / max(1, |analytic|, |numeric|)
  std::string worst;              // "input 1 element 5: analytic 0.25, numeric 0.26"
};

/// Compares the tape's gradients with central differences over every element of every f64 input, for the scalar
/// sum_k <cotangent_k, output_k> with fixed pseudo-random cotangents, which exercises the full Jacobian.
/// Inputs live on the reference device. Tensors of other dtypes are passed through as constants.
GradientCheck check_gradient(const std::function<std::vector<Variable>(std::span<const Variable>)>& function, const std::vector<Tensor>& inputs,
                             double step = 1e-6);

}  // namespace longhaul
