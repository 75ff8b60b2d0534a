#include "train/trainer/evaluation.h"

#include "framework/base/error.h"
#include "train/trainer/from_config.h"
#include "train/trainer/signals.h"

namespace longhaul::train {

std::optional<EvaluationResult> evaluate_split(const config::Config& config, const Stage& stage, const Trainee& trainee,
                                               const Corpora& corpora) {
  bool interrupted = false;
  EvaluationRequest request;
  request.context = stage.sequence_length;
  request.batch = config.train.micro_batch;  // an evaluation then needs less memory than a step
  request.cross_documents = config.data.cross_documents;
  request.compute = compute_dtype(config);
  request.progress = [&interrupted](int64_t, int64_t) {
    interrupted = stop_signal() != 0;
    return !interrupted;
  };
  std::optional<optim::MovingAverage::Swap> averaged;
  if (trainee.average()) averaged.emplace(*trainee.average());
  try {
    return evaluate(trainee.model(), *corpora.objective, *corpora.valid, request);
  } catch (const Error&) {
    if (interrupted) return std::nullopt;
    throw;
  }
}

}  // namespace longhaul::train
