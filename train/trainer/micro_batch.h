// defines: resolve_micro_batch
#pragma once
#include <cstdint>

#include "train/config/config.h"

namespace longhaul::train {

/// Sequences per forward of a new run: train.micro_batch, or where that is 0 the most that fit memory.budget in every
/// stage, by the plan of each.
int64_t resolve_micro_batch(const config::Config& config, int64_t vocabulary);

}  // namespace longhaul::train
