#include "train/trainer/evaluation.h"

#include "framework/base/error.h"
#include "train/trainer/from_config.h"
#include "train/trainer/signals.h"

namespace longhaul::train {

std::optional<EvaluationResult> evaluate_split(const config::Config& config, const Stage& stage, const Trainee& trainee,
                                               const data::Objective& objective, const data::Split& split,
                                               const std::function<void(int64_t scored, int64_t of)>& told) {
  bool interrupted = false;
  EvaluationRequest request;
  request.context = stage.sequence_length;
  request.batch = config.train.micro_batch;  // an evaluation then needs less memory than a step
  request.cross_documents = config.data.cross_documents;
  request.compute = compute_dtype(config);
  request.progress = [&](int64_t scored, int64_t of) {
    told(scored, of);
    interrupted = stop_signal() != 0;
    return !interrupted;
  };
  std::optional<optim::MovingAverage::Swap> averaged;
  if (trainee.average()) averaged.emplace(*trainee.average());
  try {
    return evaluate(trainee.model(), objective, split, request);
  } catch (const Error&) {
    if (interrupted) return std::nullopt;
    throw;
  }
}

}  // namespace longhaul::train
