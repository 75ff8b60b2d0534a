// defines: run_import, run_export
#pragma once
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// longhaul import HF_DIR OUT and longhaul export MODEL OUT; return the exit code.
int run_import(const ImportOptions& options, Console& console);
int run_export(const ExportOptions& options, Console& console);

}  // namespace longhaul::cli
