#include "train/trainer/step.h"

#include <algorithm>
#include <cmath>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/kernels/backend.h"
#include "framework/tensor/memory.h"
#include "models/common/segment_memory.h"

namespace longhaul::train {

TrainingStep::TrainingStep(const models::Model& model, std::vector<optim::Parameter> trained,
                           optim::Optimizer& optimizer, const optim::MovingAverage* average, const StepOptions& options)
    : model_(model),
      trained_(std::move(trained)),
      optimizer_(optimizer),
      average_(average),
      options_(options),
      meter_(trained_) {
  const MemoryScope scope(MemoryFamily::kWorkspace);
  one_ = Tensor::empty({1}, DType::kF32, model.device());
  kernels::backend(model.device()).elementwise.fill(one_, 1.0);
  nll_sum_ = Tensor::zeros({1}, DType::kF64, model.device());
}

// Leaves the mean gradient in the parameters; returns the summed loss in nats.
double TrainingStep::gather_gradients(const StepInput& input, nn::Gauges& gauges) const {
  const int64_t rows = input.batch.inputs.tokens.size(0);
  const ops::LossOptions loss_options{.label_smoothing = options_.label_smoothing,
                                      .scale = 1.0 / static_cast<double>(input.scored)};
  double nats = 0;
  for (int64_t first = 0; first < rows; first += options_.micro_batch) {
    const int64_t end = std::min(rows, first + options_.micro_batch);
    const nn::StepContext context{.training = true,
                                  .seed = options_.seed,
                                  .step = static_cast<uint64_t>(input.step),
                                  .first_row = first,
                                  .compute = options_.compute,
                                  .gauges = input.gauged ? &gauges : nullptr};
    TapeScope recording;
    const ops::CrossEntropyResult result = model_.loss(rows_of(input.batch, first, end), context, loss_options);
    recording.tape().backward(result.loss, one_);
    kernels::backend(model_.device()).reduce.sum(result.nll, nll_sum_);
    if (!model_.device().is_meta()) nats += nll_sum_.data<double>()[0];
  }
  return nats;
}

StepOutcome TrainingStep::run(const StepInput& input) const {
  StepOutcome out;
  if (input.scored == 0) {
    out.loss = out.grad_norm = std::nan("");
    out.skipped = true;
    out.reason = "no target of its sequences is scored";
    return out;
  }
  for (const optim::Parameter& parameter : trained_) parameter.variable.clear_gradient();
  nn::Gauges gauges;
  const double nats = gather_gradients(input, gauges);
  out.gauges = gauges.values();
  if (probe_) probe_(input.step, trained_);

  const optim::GradientNorm norm = meter_.measure(trained_);
  out.loss = nats / static_cast<double>(input.scored);
  out.grad_norm = norm.norm;
  if (!(std::isfinite(out.loss) && norm.finite() && std::isfinite(norm.norm))) {
    out.skipped = true;
    if (input.batch.inputs.memory) input.batch.inputs.memory->reset();
    if (!norm.first_bad.empty()) {
      out.reason = fmt::format("the gradient of {} is not finite", norm.first_bad);
      if (!std::isfinite(out.loss)) out.reason += fmt::format(" (loss {})", out.loss);
    } else {
      out.reason = std::isfinite(out.loss) ? fmt::format("the gradient norm is {}", norm.norm)
                                           : fmt::format("the loss is {}", out.loss);
    }
    return out;
  }
  optimizer_.update(input.learning_rate, optim::clip_coefficient(norm.norm, options_.clip_norm));
  if (average_) average_->update();
  return out;
}

}  // namespace longhaul::train
