// defines: run_pattern
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul pattern CONFIG|MODEL|SYSTEM; returns the exit code.
int run_pattern(const PatternOptions& options, Console& console);

}  // namespace longhaul::cli
