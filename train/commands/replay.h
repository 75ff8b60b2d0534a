// defines: run_replay
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul replay; returns the exit code: 1 when the step gives other bits than the journal holds.
int run_replay(const ReplayOptions& options, Console& console);

}  // namespace longhaul::cli
