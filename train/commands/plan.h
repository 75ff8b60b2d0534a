// defines: run_plan
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul plan; returns the exit code.
int run_plan(const PlanOptions& options, Console& console);

}  // namespace longhaul::cli
