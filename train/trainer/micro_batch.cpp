#include "train/trainer/micro_batch.h"

#include <algorithm>

#include "train/trainer/stages.h"

namespace longhaul::train {
namespace {

constexpr int64_t kTokens = 16384;

}  // namespace

int64_t resolve_micro_batch(const config::Config& config, int64_t) {
  if (config.train.micro_batch > 0) return config.train.micro_batch;
  int64_t smallest = config.train.batch_size;
  for (const Stage& stage : stages_of(config)) {
    smallest = std::min({smallest, stage.batch_size, std::max<int64_t>(1, kTokens / stage.sequence_length)});
  }
  return smallest;
}

}  // namespace longhaul::train
