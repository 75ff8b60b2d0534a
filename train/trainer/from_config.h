// defines: model_spec, device_of, compute_dtype, thread_count, optimizer_options, schedule_of, trained_parameters
//
// From the typed configuration to what the libraries below take.
#pragma once
#include <vector>

#include "framework/optim/optimizer.h"
#include "framework/optim/schedule.h"
#include "models/model.h"
#include "train/config/config.h"

namespace longhaul::train {

/// The model of a configuration, of one of its stages when `stage_options` is given.
models::ModelSpec model_spec(const config::Config& config, int64_t vocabulary,
                             const std::shared_ptr<const models::FamilyOptions>& stage_options = nullptr);

/// run.device as a device of this build; auto is the CPU where no GPU is built in. throws ConfigError when it is absent
Device device_of(const config::Config& config);

/// run.precision as the type of the operands of products.
DType compute_dtype(const config::Config& config);

/// run.threads, or the cores in this process's affinity mask.
int thread_count(const config::Config& config);

optim::OptimizerOptions optimizer_options(const config::OptimizerConfig& config);

/// The schedule of a stage (or of the run) that ends after `steps` steps or `tokens` tokens; 0 = no such end.
optim::Schedule schedule_of(const config::ScheduleConfig& config, int64_t steps, int64_t tokens);

/// The model's parameters in order, tied ones once, without those that train.freeze names: these gather no gradients
/// from here on.
/// throws ConfigError naming a pattern that fits no parameter, or when nothing is left to train
std::vector<optim::Parameter> trained_parameters(const models::Model& model,
                                                 const std::vector<std::string>& freeze);

}  // namespace longhaul::train
