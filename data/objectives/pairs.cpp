#include "data/objectives/pairs.h"

namespace longhaul::data {

void PairBatch::add(std::vector<int32_t> source, std::vector<int32_t> target) {
  std::vector<int32_t> shifted = {start_};
  shifted.insert(shifted.end(), target.begin(), target.end() - 1);
  sources_.add(std::move(source));
  inputs_.add(std::move(shifted));
  targets_.add(std::move(target));
}

Batch PairBatch::finish(int64_t source_width, int64_t target_width) const {
  Batch batch;
  batch.source = sources_.tensor(source_width, pad_);
  batch.source_valid = sources_.valid(source_width);
  batch.tokens = inputs_.tensor(target_width, pad_);
  batch.targets = targets_.tensor(target_width, -1);
  batch.lengths = inputs_.lengths();
  batch.scored = targets_.filled();
  batch.read = sources_.filled() + inputs_.filled();
  return batch;
}

}  // namespace longhaul::data
