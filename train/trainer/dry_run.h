// defines: dry_run
#pragma once
#include <string>

#include "train/config/config.h"

namespace longhaul::train {

/// What `train` would do, up to the moment before step 1: opens the corpora and the tokenizer, plans the memory of
/// every stage, builds the model and reads one batch. Creates no run folder. Returns a report, as JSON (the plan's
/// object with `batch`) or as text. throws as run_training does before its first step; ConfigError when the device
/// lacks a kernel
std::string dry_run(const config::Config& config, bool json);

}  // namespace longhaul::train
