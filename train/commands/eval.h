// defines: run_eval
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul eval; returns the exit code.
int run_eval(const EvalOptions& options, Console& console);

}  // namespace longhaul::cli
