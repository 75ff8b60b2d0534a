// defines: run_generate
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul generate; returns the exit code.
int run_generate(const GenerateOptions& options, Console& console);

}  // namespace longhaul::cli
