// defines: Stage, stages_of, stage_at
#pragma once
#include <memory>
#include <vector>

#include "train/config/config.h"

namespace longhaul::train {

/// A part of a run with settings of its own. A run without stages is one.
struct Stage {
  int64_t first_step = 0;  // steps of the run before it
  int64_t steps = 0;       // its length; 0 = no limit
  double learning_rate = 0;
  int64_t sequence_length = 0;
  int64_t batch_size = 0;
  std::shared_ptr<const models::FamilyOptions> options;
};

/// The stages of a run, at least one; what a stage leaves open is as in the rest of the configuration.
std::vector<Stage> stages_of(const config::Config& config);

/// The stage of the step after `steps` finished ones; past the last stage, the last.
int stage_at(const std::vector<Stage>& stages, int64_t steps);

/// The configuration of one stage alone, for planning.
config::Config config_of(const config::Config& config, const Stage& stage);

}  // namespace longhaul::train
