// defines: RunPlan, plan_run, check_kernels
#pragma once
#include "train/config/config.h"
#include "train/plan/plan.h"

namespace longhaul::train {

/// The plan of a run: of the stage that needs most memory, with the configuration of that stage alone.
struct RunPlan {
  Plan plan;
  config::Config config;
};

/// Plans every stage. throws ConfigError when a model cannot be built
RunPlan plan_run(const config::Config& config, const PlanInputs& inputs);

/// throws ConfigError naming every kernel that a stage needs and the run's device lacks
void check_kernels(const RunPlan& planned);

}  // namespace longhaul::train
