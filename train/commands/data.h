// defines: run_data
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul data prepare|info; returns the exit code.
int run_data(const DataOptions& options, Console& console);

}  // namespace longhaul::cli
