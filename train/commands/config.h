// defines: run_config
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul config show|check|explain|schema; returns the exit code.
int run_config(const ConfigOptions& options, Console& console);

}  // namespace longhaul::cli
