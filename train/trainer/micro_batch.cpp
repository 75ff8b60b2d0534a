#include "train/trainer/micro_batch.h"

#include <algorithm>

#include "train/plan/plan.h"
#include "train/trainer/stages.h"

namespace longhaul::train {

int64_t resolve_micro_batch(const config::Config& config, int64_t vocabulary) {
  if (config.train.micro_batch > 0) return config.train.micro_batch;
  int64_t smallest = config.train.batch_size;
  for (const Stage& stage : stages_of(config)) {
    smallest = std::min(smallest, largest_micro_batch(config_of(config, stage), {.vocabulary = vocabulary}));
  }
  return smallest;
}

}  // namespace longhaul::train
