// defines: run_check
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul check; returns the exit code.
int run_check(const CheckOptions& options, Console& console);

}  // namespace longhaul::cli
