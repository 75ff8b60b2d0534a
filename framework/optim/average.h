// defines: optim::MovingAverage, optim::MovingAverage::Swap
#pragma once
#include <vector>

#include "framework/base/state.h"
#include "framework/optim/parameters.h"

namespace longhaul::optim {

/// Exponential moving average of the parameters (data spec 2.7): after each update, average = decay average +
/// (1 - decay) parameter, in f32; it starts as the parameters. A stateful part: tensors under the parameters' names.
class MovingAverage final : public Stateful {
 public:
  /// 0 < decay < 1
  MovingAverage(std::vector<Parameter> parameters, double decay);
  void update() const;
  /// The average starts again from what the parameters are now.
  void restart() const;
  /// See Optimizer::rebind.
  void rebind(const std::vector<Parameter>& parameters) { parameters_ = parameters; }

  void save_state(StateWriter& out) const override;
  void load_state(StateReader& in) override;

  /// The model holds the averages while this lives; destruction gives every parameter its own bits back.
  class Swap {
   public:
    explicit Swap(const MovingAverage& average) : average_(average) { average_.exchange(); }
    ~Swap() { average_.exchange(); }
    Swap(const Swap&) = delete;
    Swap& operator=(const Swap&) = delete;

   private:
    const MovingAverage& average_;
  };

 private:
  void exchange() const;
  std::vector<Parameter> parameters_;
  std::vector<Tensor> averages_;  // like the parameters
  double decay_;
};

}  // namespace longhaul::optim
