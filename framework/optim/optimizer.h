// defines: optim::Optimizer, optim::OptimizerOptions, optim::OptimizerKind, optim::make_optimizer
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/state.h"
#include "framework/optim/parameters.h"

namespace longhaul::optim {

enum class OptimizerKind { kAdamW, kAdam, kAdafactor, kSgd };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kAdamW;
  double weight_decay = 0;                 // adamw, adafactor: decoupled; adam, sgd: added to the gradient
  std::vector<std::string> no_decay = {};  // patterns of names without weight decay
  double beta1 = 0.9, beta2 = 0.999;       // adamw, adam
  double eps = 1e-8;                       // adamw, adam
  double momentum = 0.9;                   // sgd; 0 = none
  bool nesterov = false;                   // sgd
  double factor_beta1 = 0;                 // adafactor: first moment, 0 = none
  double decay_rate = 0.8;                 // adafactor: beta2_t = 1 - t^-decay_rate
  double clip_threshold = 1;               // adafactor: largest RMS of an update
  bool scale_parameter = true;             // adafactor: steps are relative to the RMS of the parameter, at least 1e-3
  bool relative_step = false;              // adafactor: rho = min(1e-2, 1/sqrt(t)) instead of the learning rate
  bool warmup_init = false;                // adafactor, with relative_step: rho = min(1e-6 t, 1/sqrt(t))
};

/// Moves parameters along their gradients. Its tensors are f32, in the optimizer family of memory, and part of every
/// checkpoint under the name of their parameter ("<parameter>.m"), with the number of updates t. A step that is not
/// taken leaves everything as it was: t counts updates, not attempts.
class Optimizer : public Stateful {
 public:
  /// One update of every parameter, in place, with gradients multiplied by `gradient_scale` as they are read.
  void update(double learning_rate, double gradient_scale);
  /// The same with a factor for each parameter, by its place in parameters().
  void update(double learning_rate, const std::function<double(size_t)>& gradient_scale);
  /// Updates done, t.
  int64_t updates() const { return updates_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// Continues on other variables of the same names and shapes (a stage that rebuilt its model).
  /// throws InternalError when they differ
  void rebind(const std::vector<Parameter>& parameters);

  void save_state(StateWriter& out) const override;
  void load_state(StateReader& in) override;

 protected:
  Optimizer(std::vector<Parameter> parameters, OptimizerOptions options);
  /// A tensor of zeros that belongs to parameter `index`, kept and saved as "<parameter>.<suffix>".
  Tensor keep(size_t index, const std::string& suffix, const Shape& shape);
  /// Updates parameter `index`; t counts this update already.
  virtual void update_one(size_t index, double learning_rate, double gradient_scale) = 0;
  double weight_decay_of(size_t index) const { return decays_[index] ? options_.weight_decay : 0; }

  std::vector<Parameter> parameters_;
  OptimizerOptions options_;

 private:
  struct Kept {
    std::string name;
    Tensor tensor;
  };
  std::vector<Kept> kept_;
  std::vector<bool> decays_;
  int64_t updates_ = 0;
};

/// Makes an optimizer over parameters of one device. AdamW: Loshchilov & Hutter 2019; Adam: Kingma & Ba 2015;
/// Adafactor: Shazeer & Stern 2018; SGD with momentum: Sutskever et al. 2013, velocity = mu velocity + g.
std::unique_ptr<Optimizer> make_optimizer(const std::vector<Parameter>& parameters, const OptimizerOptions& options);

}  // namespace longhaul::optim
