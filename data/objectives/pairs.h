// defines: PairBatch
#pragma once
#include "data/objectives/rows.h"

namespace longhaul::data {

/// Builds a batch of sources and targets with teacher forcing: the decoder reads the start id and all but the last token of
/// the target, and each token of the target, its end included, is scored.
class PairBatch {
 public:
  PairBatch(int32_t start, int32_t pad) : start_(start), pad_(pad) {}
  void add(std::vector<int32_t> source, std::vector<int32_t> target);
  Batch finish(int64_t source_width, int64_t target_width) const;
  int64_t longest_source() const { return sources_.longest(); }
  int64_t longest_target() const { return targets_.longest(); }

 private:
  int32_t start_, pad_;
  RowTable sources_, inputs_, targets_;
};

}  // namespace longhaul::data
