#include "train/trainer/stages.h"

#include "models/registry.h"

namespace longhaul::train {

std::vector<Stage> stages_of(const config::Config& config) {
  const Stage whole{.first_step = 0,
                    .steps = config.train.steps,
                    .learning_rate = config.train.optimizer.learning_rate,
                    .sequence_length = config.data.sequence_length,
                    .batch_size = config.train.batch_size,
                    .options = config.model.options};
  if (config.train.stages.empty()) return {whole};
  std::vector<Stage> stages;
  int64_t first = 0;
  for (const config::StageConfig& given : config.train.stages) {
    Stage stage = whole;
    stage.first_step = first;
    stage.steps = given.steps;
    if (given.learning_rate > 0) stage.learning_rate = given.learning_rate;
    if (given.sequence_length > 0) stage.sequence_length = given.sequence_length;
    if (given.batch_size > 0) stage.batch_size = given.batch_size;
    stage.options = given.model;
    stages.push_back(stage);
    first += given.steps;
  }
  return stages;
}

int stage_at(const std::vector<Stage>& stages, int64_t steps) {
  int found = 0;
  for (size_t i = 1; i < stages.size(); ++i) {
    if (steps >= stages[i].first_step) found = static_cast<int>(i);
  }
  return found;
}

config::Config config_of(const config::Config& config, const Stage& stage) {
  config::Config out = config;
  out.train.stages.clear();
  out.train.steps = stage.steps;
  out.train.optimizer.learning_rate = stage.learning_rate;
  out.data.sequence_length = stage.sequence_length;
  out.train.batch_size = stage.batch_size;
  out.model.options = models::find_family(config.model.family)->copy(*stage.options);
  return out;
}

}  // namespace longhaul::train
