// defines: Trainee
#pragma once
#include <memory>
#include <optional>

#include "framework/base/io.h"
#include "framework/checkpoint/registry.h"
#include "train/trainer/stages.h"
#include "train/trainer/step.h"

namespace longhaul::train {

/// What is trained and what moves it: the model, its optimizer, the average of its weights and the step over them. A
/// stage with other model options gets a model of its own that takes the weights over.
class Trainee {
 public:
  /// `micro_batch`: sequences per forward. throws ConfigError when model or freeze cannot work
  Trainee(const config::Config& config, int64_t vocabulary, const Stage& stage, int64_t micro_batch);

  /// Goes on with another stage: weights, optimizer and average stay what they are.
  void enter(const Stage& stage);

  const models::Model& model() const { return *model_; }
  const optim::Optimizer& optimizer() const { return *optimizer_; }
  const optim::MovingAverage* average() const { return average_.get(); }
  const TrainingStep& step() const { return *step_; }
  void set_probe(TrainingStep::Probe probe);

  /// Weights of a model folder; the average starts again from them. Heads over classes and spans that are not in it, or of
  /// another size, keep their drawn weights. throws CheckpointError when they do not fit
  void take_weights(const io::Path& folder);
  /// Registers "model", "optimizer" and, where there is one, "ema".
  void add_parts(checkpoint::StateRegistry& registry);

 private:
  // The weights under their names, whichever model holds them now.
  class Weights final : public Stateful {
   public:
    explicit Weights(const Trainee& trainee) : trainee_(trainee) {}
    void save_state(StateWriter& out) const override;
    void load_state(StateReader& in) override;

   private:
    const Trainee& trainee_;
  };
  void make_step();

  const config::Config& config_;
  int64_t vocabulary_, micro_batch_;
  std::unique_ptr<models::Model> model_;
  std::vector<optim::Parameter> trained_;
  std::unique_ptr<optim::Optimizer> optimizer_;
  std::unique_ptr<optim::MovingAverage> average_;
  std::optional<TrainingStep> step_;
  TrainingStep::Probe probe_;
  Weights weights_{*this};
};

}  // namespace longhaul::train
