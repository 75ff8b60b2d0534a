// defines: run_bench_step, run_bench_generate
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul bench step CONFIG: whole training steps on the configuration's own data; the exit code.
int run_bench_step(const BenchOptions& options, Console& console);

/// longhaul bench generate MODEL|CONFIG: greedy decoding after a prompt of drawn tokens; the exit code.
int run_bench_generate(const BenchOptions& options, Console& console);

}  // namespace longhaul::cli
