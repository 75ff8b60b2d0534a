#include "train/trainer/step.h"

#include <algorithm>
#include <cmath>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/kernels/backend.h"
#include "framework/tensor/memory.h"
#include "models/common/segment_memory.h"

namespace longhaul::train {

namespace {

std::vector<optim::Parameter> chosen(const std::vector<optim::Parameter>& parameters, const std::vector<bool>& apart, bool wanted) {
  std::vector<optim::Parameter> out;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (apart[i] == wanted) out.push_back(parameters[i]);
  }
  return out;
}

std::vector<bool> trained_apart(const models::Model& model, const std::vector<optim::Parameter>& parameters) {
  std::vector<bool> out;
  for (const optim::Parameter& parameter : parameters) out.push_back(model.trained_apart(parameter.name));
  return out;
}

}  // namespace

TrainingStep::TrainingStep(const models::Model& model, std::vector<optim::Parameter> trained,
                           optim::Optimizer& optimizer, const optim::MovingAverage* average, const StepOptions& options)
    : model_(model),
      trained_(std::move(trained)),
      optimizer_(optimizer),
      average_(average),
      options_(options),
      apart_(trained_apart(model, trained_)),
      together_(chosen(trained_, apart_, false)),
      separately_(chosen(trained_, apart_, true)),
      meter_(together_),
      separate_meter_(separately_) {
  const MemoryScope scope(MemoryFamily::kWorkspace);
  one_ = Tensor::empty({1}, DType::kF32, model.device());
  kernels::backend(model.device()).elementwise.fill(one_, 1.0);
  nll_sum_ = Tensor::zeros({1}, DType::kF64, model.device());
}

// The gradients are means over the targets of all batches.
void TrainingStep::gather(const models::ModelBatch& batch, const StepInput& input, uint64_t number, Gathered& into) const {
  const int64_t rows = batch.inputs.tokens.size(0);
  const auto batches = static_cast<double>(1 + input.following.size());
  const ops::LossOptions loss_options{.label_smoothing = options_.label_smoothing,
                                      .scale = 1.0 / static_cast<double>(input.scored),
                                      .auxiliary_scale = 1.0 / batches};
  for (int64_t first = 0; first < rows; first += options_.micro_batch) {
    const int64_t end = std::min(rows, first + options_.micro_batch);
    const nn::StepContext context{.training = true,
                                  .seed = options_.seed,
                                  .step = static_cast<uint64_t>(input.step) | number << 48,
                                  .first_row = first,
                                  .compute = options_.compute,
                                  .gauges = input.gauged ? &into.gauges : nullptr};
    TapeScope recording;
    const ops::CrossEntropyResult result = model_.loss(rows_of(batch, first, end), context, loss_options);
    recording.tape().backward(result.loss, one_);
    kernels::backend(model_.device()).reduce.sum(result.nll, nll_sum_);
    if (!model_.device().is_meta()) into.nats += nll_sum_.data<double>()[0];
  }
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
  Gathered gathered;
  gather(input.batch, input, 0, gathered);
  for (size_t i = 0; i < input.following.size(); ++i) {
    const FollowingBatch& next = input.following[i];
    if (next.begins_streams && next.batch.inputs.memory) next.batch.inputs.memory->reset();
    gather(next.batch, input, i + 1, gathered);
  }
  out.gauges = gathered.gauges.values();
  if (probe_) probe_(input.step, trained_);

  const optim::GradientNorm norm = meter_.measure(together_), separate = separate_meter_.measure(separately_);
  out.loss = gathered.nats / static_cast<double>(input.scored);
  out.grad_norm = norm.norm;
  if (input.gauged && !separately_.empty()) out.gauges["apart_norm"] = separate.norm;
  const bool finite = norm.finite() && std::isfinite(norm.norm) && separate.finite() && std::isfinite(separate.norm);
  if (!(std::isfinite(out.loss) && finite)) {
    out.skipped = true;
    if (input.batch.inputs.memory) input.batch.inputs.memory->reset();
    const std::string& first_bad = norm.first_bad.empty() ? separate.first_bad : norm.first_bad;
    if (!first_bad.empty()) {
      out.reason = fmt::format("the gradient of {} is not finite", first_bad);
      if (!std::isfinite(out.loss)) out.reason += fmt::format(" (loss {})", out.loss);
    } else {
      out.reason = std::isfinite(out.loss) ? fmt::format("the gradient norm is {}", std::isfinite(norm.norm) ? separate.norm : norm.norm)
                                           : fmt::format("the loss is {}", out.loss);
    }
    return out;
  }
  const double scale = optim::clip_coefficient(norm.norm, options_.clip_norm), separate_scale = optim::clip_coefficient(separate.norm, options_.clip_norm);
  optimizer_.update(input.learning_rate, [this, scale, separate_scale](size_t i) { return apart_[i] ? separate_scale : scale; });
  if (average_) average_->update();
  return out;
}

}  // namespace longhaul::train
