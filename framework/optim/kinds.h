// defines: optim::Adam, optim::Sgd, optim::Adafactor
#pragma once
#include <vector>

#include "framework/optim/optimizer.h"

namespace longhaul::optim {

/// Both forms of Adam. Saves m and v.
class Adam final : public Optimizer {
 public:
  Adam(const std::vector<Parameter>& parameters, const OptimizerOptions& options);

 private:
  void update_one(size_t index, double learning_rate, double gradient_scale) override;
  std::vector<Tensor> m_, v_;  // like the parameters
};

/// Saves the velocity when there is momentum.
class Sgd final : public Optimizer {
 public:
  Sgd(const std::vector<Parameter>& parameters, const OptimizerOptions& options);

 private:
  void update_one(size_t index, double learning_rate, double gradient_scale) override;
  std::vector<Tensor> velocity_;  // like the parameters; empty without momentum
};

/// Keeps row and column means of the squares of tensors of rank 2 and more, all squares of the others, and a first
/// moment when asked to.
class Adafactor final : public Optimizer {
 public:
  Adafactor(const std::vector<Parameter>& parameters, const OptimizerOptions& options);

 private:
  void update_one(size_t index, double learning_rate, double gradient_scale) override;
  /// Root of the mean square of a parameter's value.
  double root_mean_square(const Tensor& value) const;

  struct Moments {
    Tensor row;     // [.., rows]
    Tensor column;  // [.., columns]
    Tensor v;       // like the parameter
    Tensor first;   // like the parameter
  };
  std::vector<Moments> moments_;
  Tensor update_;  // [elements of the largest parameter]: workspace of the kernel
  Tensor square_;  // [1] f64
};

}  // namespace longhaul::optim
