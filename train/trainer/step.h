// defines: TrainingStep, StepOptions, StepInput, StepOutcome
#pragma once
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "framework/optim/average.h"
#include "framework/optim/clip.h"
#include "framework/optim/optimizer.h"
#include "models/model.h"

namespace longhaul::train {

struct StepOptions {
  int64_t micro_batch = 1;  // sequences per forward
  double clip_norm = 0;     // 0 = off
  double label_smoothing = 0;
  DType compute = DType::kF32;
  uint64_t seed = 0;  // of dropout
};

/// Sequences that a step reads behind its first batch, with the weights of that one.
struct FollowingBatch {
  models::ModelBatch batch;
  bool begins_streams = false;  // a memory begins anew before it
};

/// The sequences of one optimizer step.
struct StepInput {
  models::ModelBatch batch;
  std::vector<FollowingBatch> following = {};
  int64_t scored = 0;  // targets that are not -1, of all batches
  int64_t step = 0;    // number of the step: part of the key of dropout
  double learning_rate = 0;
  bool gauged = false;  // fill StepOutcome::gauges
};

struct StepOutcome {
  double loss = 0;       // nats a scored target, without label smoothing
  double grad_norm = 0;  // before clipping, without what is trained apart
  bool skipped = false;  // nothing but the data has moved on
  std::string reason;    // of a skip: what was not finite, with the first tensor by name
  std::map<std::string, double> gauges;  // nn::Gauges of its passes
};

/// Forward, backward and update over the sequences of a step, `micro_batch` at a time.
///
/// What a model trains apart (Model::trained_apart) has a norm of its own, the gauge apart_norm, and a clip of its own with the same
/// limit: however large its loss is, the step of everything else stays what it is.
///
/// The loss is seeded with 1 / scored of the whole step, so gradients are sums of targets in the order of the sequences
/// and unequal micro-batches count as they should (data spec 4.3). A step whose loss or gradient norm is not finite is
/// skipped before anything is written: parameters, optimizer and average keep their bits; the test is written so that a
/// NaN fails it. A memory, which may hold such numbers then, begins anew. A step without a scored target is skipped too.
/// Also runs on meta, where it computes nothing and every update is taken: that is how memory is planned.
class TrainingStep {
 public:
  /// Everything is referred to and must outlive the step; `average` may be null.
  TrainingStep(const models::Model& model, std::vector<optim::Parameter> trained, optim::Optimizer& optimizer,
               const optim::MovingAverage* average, const StepOptions& options);
  StepOutcome run(const StepInput& input) const;

  /// Called with the trained parameters when all gradients of a step are there: where tests damage one.
  using Probe = std::function<void(int64_t step, const std::vector<optim::Parameter>& trained)>;
  void set_probe(Probe probe) { probe_ = std::move(probe); }

 private:
  struct Gathered {
    double nats = 0;  // summed over targets
    nn::Gauges gauges;
  };
  /// Adds the gradients of a batch; `number`: of the step's batches.
  void gather(const models::ModelBatch& batch, const StepInput& input, uint64_t number, Gathered& into) const;

  const models::Model& model_;
  std::vector<optim::Parameter> trained_;
  optim::Optimizer& optimizer_;
  const optim::MovingAverage* average_;
  StepOptions options_;
  std::vector<bool> apart_;                            // of trained_
  std::vector<optim::Parameter> together_, separately_;  // of trained_, in its order
  optim::GradientMeter meter_, separate_meter_;
  Tensor one_;      // [1] f32: the seed of the backward
  Tensor nll_sum_;  // [1] f64
  Probe probe_;
};

}  // namespace longhaul::train
