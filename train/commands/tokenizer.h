// defines: run_tokenizer
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul tokenizer train|encode|decode|info; returns the exit code.
int run_tokenizer(const TokenizerOptions& options, Console& console);

}  // namespace longhaul::cli
