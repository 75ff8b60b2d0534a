// defines: Ending, ending_of
#pragma once
#include "framework/base/units.h"
#include "train/config/config.h"

namespace longhaul::train {

/// Where a run ends: the first of these that is reached; 0 = no such end.
struct Ending {
  int64_t steps = 0;
  int64_t tokens = 0;
  double seconds = 0;

  bool reached(const Progress& now) const;
  /// Seconds until the nearest end at this speed; NaN where nothing can be said.
  double remaining(const Progress& now, double seconds_per_step, double tokens_per_second) const;
};

/// train.steps (or the sum of the stages, if that is less), train.tokens and train.time.
Ending ending_of(const config::Config& config);

}  // namespace longhaul::train
