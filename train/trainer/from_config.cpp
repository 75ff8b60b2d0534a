#include "train/trainer/from_config.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <limits>

#include "framework/base/error.h"
#include "framework/kernels/backend.h"

namespace longhaul::train {
namespace {

models::MemoryOptions memory_options(const config::MemoryConfig& memory) {
  models::MemoryOptions out;
  out.reversible = memory.reversible;
  out.reversible_backward = memory.reversible_backward == config::ReversibleBackward::kRebuild
                                ? ReversibleBackward::kRebuild
                                : ReversibleBackward::kStored;
  switch (memory.recompute) {
    case config::Recompute::kNone:
      out.recompute = models::Recompute::kNone;
      break;
    case config::Recompute::kLayer:
      out.recompute = models::Recompute::kLayer;
      break;
    case config::Recompute::kAttention:
      out.recompute = models::Recompute::kAttention;
      break;
  }
  out.chunk_feedforward = memory.chunk_feedforward;
  if (memory.chunk_loss == config::MemoryConfig::kAutoRows) {
    out.chunk_loss = 0;
  } else {
    out.chunk_loss = memory.chunk_loss == 0 ? std::numeric_limits<int64_t>::max() : memory.chunk_loss;
  }
  return out;
}

models::HeadSpec head_of(const data::ObjectiveOptions& objective) {
  switch (data::objective_info(objective.kind).target) {
    case data::TargetKind::kClasses:
      // Two stand for the classes that only the texts know, where a model is built before they are read.
      return {models::HeadKind::kClasses, std::max<int64_t>(2, static_cast<int64_t>(objective.labels.size())), objective.labels};
    case data::TargetKind::kSpans:
      return {.kind = models::HeadKind::kSpans};
    case data::TargetKind::kTokens:
      break;
  }
  return {};
}

}  // namespace

models::ModelSpec model_spec(const config::Config& config, int64_t vocabulary,
                             const std::shared_ptr<const models::FamilyOptions>& stage_options) {
  models::ModelSpec spec;
  spec.family = config.model.family;
  spec.options = stage_options ? stage_options : config.model.options;
  spec.form = spec.options->body.form;
  const int64_t rows = spec.options->body.vocabulary;
  check<ConfigError>(rows == 0 || rows >= vocabulary,
                     "[model] model.vocabulary = {}: the tokenizer has {} ids, with those that data.objective adds\n"
                     "  hint: leave it out, or ask for {} or more",
                     rows, vocabulary, vocabulary);
  spec.vocabulary = std::max(rows, vocabulary);
  spec.head = head_of(config.data.objective);
  spec.memory = memory_options(config.memory);
  return spec;
}

Device device_of(const config::Config& config) {
  const std::string& name = config.run.device;
  if (name == "auto" || name == "cpu") return Device::cpu();
  if (name == "reference") return Device::reference();
  const bool built = std::any_of(kernels::backends().begin(), kernels::backends().end(),
                                 [](const kernels::Backend* backend) { return std::string(backend->name) == "cuda"; });
  check<ConfigError>(built,
                     "[device] run.device = {}: this program was built without that device\n"
                     "  hint: run.device = cpu works everywhere; `longhaul --version` lists what is built in",
                     name);
  Device device{DeviceKind::kCuda, 0};
  if (name.starts_with("cuda:")) device.index = static_cast<int>(units::parse_integer(name.substr(5)).value_or(0));
  return device;
}

DType compute_dtype(const config::Config& config) {
  switch (config.run.precision) {
    case config::Precision::kF32:
      return DType::kF32;
    case config::Precision::kBF16:
      return DType::kBF16;
    case config::Precision::kF16:
      break;
  }
  return DType::kF16;
}

int thread_count(const config::Config& config) {
  if (config.run.threads > 0) return config.run.threads;
  cpu_set_t cores;
  CPU_ZERO(&cores);
  if (sched_getaffinity(0, sizeof(cores), &cores) == 0) return std::max(1, CPU_COUNT(&cores));
  return std::max(1, omp_get_num_procs());
}

optim::OptimizerOptions optimizer_options(const config::OptimizerConfig& config) {
  optim::OptimizerOptions out;
  switch (config.kind) {
    case config::OptimizerKind::kAdamW:
      out.kind = optim::OptimizerKind::kAdamW;
      break;
    case config::OptimizerKind::kAdam:
      out.kind = optim::OptimizerKind::kAdam;
      break;
    case config::OptimizerKind::kAdafactor:
      out.kind = optim::OptimizerKind::kAdafactor;
      break;
    case config::OptimizerKind::kSgd:
      out.kind = optim::OptimizerKind::kSgd;
      break;
  }
  out.weight_decay = config.weight_decay;
  out.no_decay = config.no_decay;
  out.beta1 = config.betas.at(0);
  out.beta2 = config.betas.at(1);
  out.eps = config.eps;
  out.momentum = config.momentum;
  out.nesterov = config.nesterov;
  out.factor_beta1 = config.beta1;
  out.decay_rate = config.decay_rate;
  out.clip_threshold = config.clip_threshold;
  out.scale_parameter = config.scale_parameter;
  out.relative_step = config.relative_step;
  out.warmup_init = config.warmup_init;
  return out;
}

optim::Schedule schedule_of(const config::ScheduleConfig& config, int64_t steps, int64_t tokens) {
  optim::Schedule out;
  switch (config.kind) {
    case config::ScheduleKind::kConstant:
      out.kind = optim::ScheduleKind::kConstant;
      break;
    case config::ScheduleKind::kLinear:
      out.kind = optim::ScheduleKind::kLinear;
      break;
    case config::ScheduleKind::kCosine:
      out.kind = optim::ScheduleKind::kCosine;
      break;
    case config::ScheduleKind::kInverseSqrt:
      out.kind = optim::ScheduleKind::kInverseSqrt;
      break;
    case config::ScheduleKind::kWsd:
      out.kind = optim::ScheduleKind::kWsd;
      break;
  }
  out.warmup = config.warmup;
  out.horizon = config.horizon;
  if (out.horizon.off() && steps > 0) out.horizon = {static_cast<double>(steps), Period::Unit::kStep};
  if (out.horizon.off() && tokens > 0) out.horizon = {static_cast<double>(tokens), Period::Unit::kToken};
  out.final = config.final;
  out.decay = config.decay;
  return out;
}

std::vector<optim::Parameter> trained_parameters(const models::Model& model,
                                                 const std::vector<std::string>& freeze) {
  const std::vector<nn::NamedParameter> all = model.parameters();
  for (const std::string& pattern : freeze) {
    const bool used = std::any_of(all.begin(), all.end(),
                                  [&](const nn::NamedParameter& p) { return optim::matches(p.name, pattern); });
    check<ConfigError>(used, "[train] train.freeze: \"{}\" fits no parameter\n  hint: the first one is \"{}\"", pattern,
                       all.front().name);
  }
  std::vector<optim::Parameter> trained;
  for (const nn::NamedParameter& parameter : all) {
    if (!parameter.variable.needs_gradient()) continue;  // a buffer
    if (optim::matches_any(parameter.name, freeze)) {
      parameter.variable.freeze();
    } else {
      trained.push_back({parameter.name, parameter.variable});
    }
  }
  check<ConfigError>(!trained.empty(), "[train] train.freeze leaves no parameter to train");
  return trained;
}

}  // namespace longhaul::train
