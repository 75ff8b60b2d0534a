// defines: run_train
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul train CONFIG; returns the exit code.
int run_train(const TrainOptions& options, Console& console);

}  // namespace longhaul::cli
