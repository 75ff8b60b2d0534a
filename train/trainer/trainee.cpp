#include "train/trainer/trainee.h"

#include "framework/base/error.h"
#include "framework/checkpoint/checkpoint.h"
#include "framework/kernels/backend.h"
#include "train/trainer/from_config.h"

namespace longhaul::train {

Trainee::Trainee(const config::Config& config, int64_t vocabulary, const Stage& stage, int64_t micro_batch)
    : config_(config), vocabulary_(vocabulary), micro_batch_(micro_batch) {
  model_ = models::make_any_model(model_spec(config, vocabulary, stage.options), static_cast<uint64_t>(config.run.seed),
                              device_of(config));
  trained_ = trained_parameters(*model_, config.train.freeze);
  optimizer_ = optim::make_optimizer(trained_, optimizer_options(config.train.optimizer));
  if (config.train.ema.decay > 0) {
    average_ = std::make_unique<optim::MovingAverage>(trained_, config.train.ema.decay);
  }
  make_step();
}

void Trainee::make_step() {
  const StepOptions options{.micro_batch = micro_batch_,
                            .clip_norm = config_.train.clip_norm,
                            .label_smoothing = config_.train.label_smoothing,
                            .compute = compute_dtype(config_),
                            .seed = static_cast<uint64_t>(config_.run.seed)};
  step_.emplace(*model_, trained_, *optimizer_, average_.get(), options);
  step_->set_probe(probe_);
}

void Trainee::set_probe(TrainingStep::Probe probe) {
  probe_ = std::move(probe);
  step_->set_probe(probe_);
}

void Trainee::enter(const Stage& stage) {
  if (model_->spec().options == stage.options) return;
  auto next = models::make_any_model(model_spec(config_, vocabulary_, stage.options),
                                 static_cast<uint64_t>(config_.run.seed), model_->device());
  const std::vector<nn::NamedParameter> from = model_->parameters(), to = next->parameters();
  check<InternalError>(from.size() == to.size(), "a stage has {} parameters, the one before {}", to.size(),
                       from.size());
  for (size_t i = 0; i < from.size(); ++i) {
    check<InternalError>(from[i].name == to[i].name && from[i].variable.shape() == to[i].variable.shape(),
                         "parameter {} of a stage takes the place of {}", to[i].name, from[i].name);
    kernels::backend(model_->device()).elementwise.copy(from[i].variable.value(), to[i].variable.value());
    to[i].variable.changed();
  }
  trained_ = trained_parameters(*next, config_.train.freeze);
  optimizer_->rebind(trained_);
  if (average_) average_->rebind(trained_);
  step_.reset();
  model_ = std::move(next);
  make_step();
}

void Trainee::take_weights(const io::Path& folder) {
  std::vector<checkpoint::NamedTensor> into;
  for (const nn::NamedParameter& parameter : model_->parameters()) {
    into.push_back({parameter.name, parameter.variable.value()});
  }
  // A task starts with a head of its own over the body of any encoder.
  const bool task = model_->spec().head.kind != models::HeadKind::kTokens;
  checkpoint::load_weights(folder, into, task ? "head." : "");
  for (const nn::NamedParameter& parameter : model_->parameters()) parameter.variable.changed();
  if (average_) average_->restart();
}

void Trainee::add_parts(checkpoint::StateRegistry& registry) {
  registry.add("model", checkpoint::Section::kModel, weights_);
  registry.add("optimizer", checkpoint::Section::kOptimizer, *optimizer_);
  if (average_) registry.add("ema", checkpoint::Section::kState, *average_);
}

void Trainee::Weights::save_state(StateWriter& out) const {
  for (const nn::NamedParameter& parameter : trainee_.model_->parameters()) {
    out.tensor(parameter.name, parameter.variable.value());
  }
}

void Trainee::Weights::load_state(StateReader& in) {
  for (const nn::NamedParameter& parameter : trainee_.model_->parameters()) {
    in.tensor(parameter.name, parameter.variable.value());
    parameter.variable.changed();
  }
}

}  // namespace longhaul::train
