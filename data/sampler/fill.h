// defines: RowSpan, fill_rows
#pragma once
#include <cstdint>
#include <vector>

#include "data/sampler/batches.h"

namespace longhaul::data {

/// What one row of a batch holds: inputs are tokens [begin, begin + inputs) of the split, and of the targets, which are
/// the tokens one further on, those from `score_from` on are scored.
struct RowSpan {
  int64_t begin = 0;
  int64_t inputs = 0;
  int64_t score_from = 0;  // token of the split
};

/// A batch [spans, width]; without `score_ends` the end ids that the preparation added are not scored.
Batch fill_rows(const TokenSource& source, const std::vector<RowSpan>& spans, int64_t width, bool score_ends);

}  // namespace longhaul::data
