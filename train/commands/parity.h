// defines: run_parity
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul parity DIR...; returns the exit code: 0 only when every case that is not optional passed.
int run_parity(const ParityOptions& options, Console& console);

}  // namespace longhaul::cli
