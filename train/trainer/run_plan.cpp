#include "train/trainer/run_plan.h"

#include <algorithm>

#include "framework/base/error.h"
#include "train/trainer/from_config.h"
#include "train/trainer/stages.h"

namespace longhaul::train {

RunPlan plan_run(const config::Config& config, const PlanInputs& inputs) {
  RunPlan out;
  std::vector<std::string> missing;
  for (const Stage& stage : stages_of(config)) {
    const config::Config one = config_of(config, stage);
    const Plan plan = make_plan(one, inputs);
    for (const std::string& kernel : plan.missing_kernels) {
      if (std::ranges::find(missing, kernel) == missing.end()) missing.push_back(kernel);
    }
    if (plan.peak_bytes > out.plan.peak_bytes) out = {.plan = plan, .config = one};
  }
  out.plan.missing_kernels = std::move(missing);
  return out;
}

void check_kernels(const RunPlan& planned) {
  if (planned.plan.missing_kernels.empty()) return;
  std::string names;
  for (const std::string& kernel : planned.plan.missing_kernels) names += "\n  " + kernel;
  fail<ConfigError>(
      "[device] {} lacks kernels this run needs, nothing was created:{}\n"
      "  hint: choose another run.precision or run.device",
      name_of(device_of(planned.config)), names);
}

}  // namespace longhaul::train
