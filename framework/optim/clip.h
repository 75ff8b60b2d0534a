// defines: optim::GradientNorm, optim::GradientMeter, optim::clip_coefficient
#pragma once
#include <string>
#include <vector>

#include "framework/optim/parameters.h"

namespace longhaul::optim {

struct GradientNorm {
  double norm = 0;        // root of the sum of all squares; NaN or infinite when a gradient is
  std::string first_bad;  // the first parameter whose gradient is not finite; empty: all are
  bool finite() const { return first_bad.empty(); }
};

/// Measures the norm of the whole gradient: the sum of squares of each tensor by a fixed tree, the sums added in f64 in
/// the order of the parameters. Each parameter of the list counts once, so tied ones are listed once.
class GradientMeter {
 public:
  explicit GradientMeter(const std::vector<Parameter>& parameters);
  /// On meta nothing is known: the norm is 0.
  GradientNorm measure(const std::vector<Parameter>& parameters) const;

 private:
  Tensor squares_;  // [parameters] f64
};

/// min(1, limit / (norm + 1e-6)); 1 when limit is 0 (off). Data spec 2.5. NaN for a norm that is not a number.
double clip_coefficient(double norm, double limit);

}  // namespace longhaul::optim
