// defines: run_bench
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul bench attention|step|generate; returns the exit code.
int run_bench(const BenchOptions& options, Console& console);

}  // namespace longhaul::cli
