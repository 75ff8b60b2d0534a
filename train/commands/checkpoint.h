// defines: run_checkpoint
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul checkpoint list|verify|diff|prune; returns the exit code: 0, 1 when diff found differences, 4 when verify
/// found damage.
int run_checkpoint(const CheckpointOptions& options, Console& console);

}  // namespace longhaul::cli
