#include "train/plan/plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "framework/base/error.h"
#include "framework/base/interrupt.h"
#include "framework/base/io.h"
#include "framework/base/threads.h"
#include "framework/kernels/backend.h"
#include "framework/optim/average.h"
#include "models/common/segment_memory.h"
#include "train/plan/process.h"
#include "train/trainer/from_config.h"
#include "train/trainer/model_batch.h"
#include "train/trainer/step.h"

namespace longhaul::train {
namespace {

// Steps until memory has reached its highest: the first makes the optimizer's state, the second runs with it.
constexpr int kSteps = 2;

// What the training step allocates, and the kernels it calls.
struct Rehearsal {
  MemoryReport memory;
  int64_t parameters = 0, trained = 0;
  double flops_per_token = 0;
  std::set<std::pair<std::string, DType>> kernels;
};

// The tensors of one batch, as the samples of the objective hand them over at their largest.
data::Batch meta_batch(const config::Config& config, int64_t rows) {
  const data::ObjectiveInfo& objective = data::objective_info(config.data.objective.kind);
  const models::FamilyInfo& family = *models::find_family(config.model.family);
  const int64_t segments = family.streams ? family.streams(*config.model.options).segments : 1;
  const int64_t length = segments * config.data.sequence_length;
  const int64_t target_length = data::target_length_of(config.data.objective, length);
  const auto make = [](const Shape& shape, DType dtype) { return Tensor::empty(shape, dtype, Device::meta()); };
  data::Batch batch;
  batch.tokens = make({rows, target_length > 0 ? target_length : length}, DType::kI32);
  switch (objective.target) {
    case data::TargetKind::kTokens:
      batch.targets = make(batch.tokens.shape(), DType::kI32);
      break;
    case data::TargetKind::kClasses:
      batch.targets = make({rows}, DType::kI32);
      break;
    case data::TargetKind::kSpans:
      batch.targets = make({rows, 2}, DType::kI32);
      break;
  }
  batch.scored = objective.most_scored ? rows * objective.most_scored(config.data.objective, length) : batch.targets.elements();
  switch (objective.sides) {
    case data::Sides::kDecoder:
      if (objective.table) {
        batch.valid = make(batch.tokens.shape(), DType::kU8);
        break;
      }
      batch.documents = make(batch.tokens.shape(), DType::kI32);
      batch.positions = make(batch.tokens.shape(), DType::kI32);
      break;
    case data::Sides::kEncoder:
      batch.valid = make(batch.tokens.shape(), DType::kU8);
      if (objective.table) batch.focus = make(batch.tokens.shape(), DType::kU8);
      break;
    case data::Sides::kEncoderDecoder:
      batch.source = make({rows, length}, DType::kI32);
      batch.source_valid = make({rows, length}, DType::kU8);
      break;
  }
  return batch;
}

int threads_of(const config::Config& config, const PlanInputs& inputs) {
  return inputs.threads > 0 ? inputs.threads : config.run.threads > 0 ? config.run.threads : longhaul::thread_count();
}

// Kernels ask for scratch by thread: the plan needs as many as the run.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) : before_(longhaul::thread_count()) { set_thread_count(threads); }
  ~ThreadScope() { set_thread_count(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};

Rehearsal rehearse(const config::Config& config, const PlanInputs& inputs, int64_t micro_batch) {
  poll_interrupt();
  Rehearsal out;
  const int64_t vocabulary = inputs.vocabulary;
  const ThreadScope threads(threads_of(config, inputs));
  const MetaMemoryScope scope;
  const kernels::KernelUseRecorder recorder(
      [&out](std::string_view kernel, DType dtype) { out.kernels.emplace(kernel, dtype); });
  const models::ModelSpec spec = model_spec(config, vocabulary);
  const auto model = models::make_any_model(spec, static_cast<uint64_t>(config.run.seed), Device::meta());
  const auto trained = trained_parameters(*model, config.train.freeze);
  const auto optimizer = optim::make_optimizer(trained, optimizer_options(config.train.optimizer));
  std::unique_ptr<optim::MovingAverage> average;
  if (config.train.ema.decay > 0) average = std::make_unique<optim::MovingAverage>(trained, config.train.ema.decay);
  const TrainingStep step(*model, trained, *optimizer, average.get(),
                          {.micro_batch = micro_batch,
                           .clip_norm = config.train.clip_norm,
                           .label_smoothing = config.train.label_smoothing,
                           .compute = compute_dtype(config),
                           .seed = static_cast<uint64_t>(config.run.seed)});
  const auto memory =
      model->start_memory({.rows = config.train.batch_size, .training = true, .compute = compute_dtype(config)});
  const data::Batch batch = meta_batch(config, config.train.batch_size);
  models::ModelBatch inputs_of_step = model_batch(batch, Device::meta(), memory.get());
  inputs_of_step.inputs.planned_scored = batch.scored / config.train.batch_size;
  // A third micro-batch allocates nothing that the second did not.
  const int64_t rows = std::min(config.train.batch_size, 2 * micro_batch);
  const int64_t steps = memory ? memory->reach() / batch.tokens.size(1) + kSteps : kSteps;
  for (int64_t i = 1; i <= steps; ++i) {
    step.run({.batch = rows_of(inputs_of_step, 0, rows), .scored = batch.scored, .step = i, .learning_rate = 1e-3});
  }
  out.memory = device_memory(Device::meta()).report();
  out.parameters = model->parameter_count();
  for (const auto& parameter : trained) out.trained += parameter.variable.value().elements();
  out.flops_per_token =
      flops_per_token(spec, *model, config.data.sequence_length,
                      data::target_length_of(config.data.objective, config.data.sequence_length));
  return out;
}

std::vector<std::string> missing(const Rehearsal& rehearsal, Device device) {
  std::vector<std::string> names;
  const kernels::Backend& backend = kernels::backend(device);
  for (const auto& [kernel, dtype] : rehearsal.kernels) {
    if (!kernels::supports(backend, kernel, dtype)) names.push_back(fmt::format("{} ({})", kernel, name_of(dtype)));
  }
  return names;
}

int64_t process_peak(const config::Config& config, const PlanInputs& inputs, const Rehearsal& rehearsal) {
  return rehearsal.memory.reserved + process_bytes(threads_of(config, inputs));
}

bool fits(const config::Config& config, const PlanInputs& inputs, int64_t micro_batch, int64_t budget) {
  return process_peak(config, inputs, rehearse(config, inputs, micro_batch)) <= budget;
}

config::Config with_length(const config::Config& config, int64_t length) {
  config::Config changed = config;
  changed.data.sequence_length = length;
  changed.train.batch_size = 1;
  // A position table grows with the sequence; the options are shared, so they are copied first.
  const models::FamilyInfo* family = models::find_family(config.model.family);
  changed.model.options = family->copy(*config.model.options);
  models::BodyOptions& body = changed.model.options->body;
  if (body.max_positions == 0 || body.max_positions >= length) return changed;
  if (!body.axial_shape.empty()) {
    // The slowest axis takes the new points.
    const int64_t row = body.max_positions / body.axial_shape.front();
    body.axial_shape.front() = (length + row - 1) / row;
    length = body.axial_shape.front() * row;
  }
  body.max_positions = length;
  return changed;
}

}  // namespace

int64_t memory_budget(const config::Config& config) {
  return config.memory.budget > 0 ? config.memory.budget : available_memory() / 10 * 9;
}

Plan make_plan(const config::Config& config, const PlanInputs& inputs) {
  Plan plan;
  plan.budget = memory_budget(config);
  plan.sequence_length = config.data.sequence_length;
  plan.micro_batch = inputs.micro_batch > 0         ? inputs.micro_batch
                     : config.train.micro_batch > 0 ? config.train.micro_batch
                                                    : largest_micro_batch(config, inputs);
  const Rehearsal rehearsal = rehearse(config, inputs, plan.micro_batch);
  plan.parameters = rehearsal.parameters;
  plan.trained_parameters = rehearsal.trained;
  plan.flops_per_token = rehearsal.flops_per_token;
  plan.bytes = rehearsal.memory.at_peak;
  plan.tensor_peak_bytes = rehearsal.memory.total_peak;
  plan.reserved_bytes = rehearsal.memory.reserved;
  plan.peak_bytes = process_peak(config, inputs, rehearsal);
  plan.missing_kernels = missing(rehearsal, device_of(config));
  return plan;
}

int64_t largest_micro_batch(const config::Config& config, const PlanInputs& inputs) {
  const int64_t budget = memory_budget(config);
  std::vector<int64_t> divisors;
  for (int64_t d = 1; d <= config.train.batch_size; ++d) {
    if (config.train.batch_size % d == 0) divisors.push_back(d);
  }
  // Memory grows with the micro-batch: bisection over its divisors.
  size_t low = 0, high = divisors.size() - 1;
  while (low < high) {
    const size_t middle = (low + high + 1) / 2;
    if (fits(config, inputs, divisors[middle], budget)) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return divisors[low];
}

int64_t longest_sequence(const config::Config& config, const PlanInputs& inputs) {
  const int64_t budget = memory_budget(config);
  const auto length_fits = [&](int64_t length) { return fits(with_length(config, length), inputs, 1, budget); };
  if (!length_fits(1)) return 0;
  // Up to here a plan takes milliseconds; further on bytes are taken to grow as between the last two.
  constexpr int64_t kPlanned = 131072, kBeyondAnyText = int64_t{1} << 30;
  int64_t good = 1, bad = 2;
  while (bad <= kPlanned && length_fits(bad)) {
    good = bad;
    bad *= 2;
  }
  if (good == kPlanned) {
    const auto peak = [&](int64_t length) {
      const config::Config changed = with_length(config, length);
      return process_peak(changed, inputs, rehearse(changed, inputs, 1));
    };
    const int64_t last = peak(kPlanned);
    const double slope = std::max(1.0, static_cast<double>(last - peak(kPlanned / 2)) / (kPlanned / 2));
    const double more = static_cast<double>(budget - last) / slope;
    return more >= static_cast<double>(kBeyondAnyText - kPlanned) ? kBeyondAnyText : kPlanned + static_cast<int64_t>(more);
  }
  while (bad - good > std::max<int64_t>(1, good / 64)) {
    const int64_t middle = good + (bad - good) / 2;
    (length_fits(middle) ? good : bad) = middle;
  }
  return good;
}

std::vector<Lever> find_levers(const config::Config& config, const PlanInputs& inputs, const Plan& plan) {
  std::vector<Lever> levers;
  const auto attempt = [&](const std::string& change, const config::Config& changed, int64_t micro_batch) {
    const Rehearsal rehearsal = rehearse(changed, inputs, micro_batch);
    const int64_t saved = plan.peak_bytes - process_peak(changed, inputs, rehearsal);
    if (saved > plan.peak_bytes / 50) levers.push_back({change, saved});
  };
  config::Config changed = config;
  if (config.memory.recompute != config::Recompute::kLayer && !config.memory.reversible) {
    changed.memory.recompute = config::Recompute::kLayer;
    attempt("memory.recompute: layer", changed, plan.micro_batch);
  }
  const int64_t rows = plan.micro_batch * config.data.sequence_length;
  const int64_t now = config.memory.chunk_feedforward == 0 ? rows : config.memory.chunk_feedforward;
  if (now > 1024) {
    changed = config;
    changed.memory.chunk_feedforward = std::max<int64_t>(1024, now / 4);
    attempt(fmt::format("memory.chunk_feedforward: {}", changed.memory.chunk_feedforward), changed, plan.micro_batch);
  }
  if (plan.micro_batch > 1) {
    int64_t smaller = plan.micro_batch / 2;
    while (config.train.batch_size % smaller != 0) --smaller;
    attempt(fmt::format("train.micro_batch: {}", smaller), config, smaller);
  }
  if (config.run.precision == config::Precision::kF32 && config.run.device != "reference") {
    changed = config;
    changed.run.precision = config::Precision::kBF16;
    attempt("run.precision: bf16", changed, plan.micro_batch);
  }
  std::sort(levers.begin(), levers.end(), [](const Lever& a, const Lever& b) { return a.saved > b.saved; });
  return levers;
}

}  // namespace longhaul::train
