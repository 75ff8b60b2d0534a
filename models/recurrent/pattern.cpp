#include "models/recurrent/pattern.h"

#include <array>

#include "framework/pattern/builder.h"
#include "framework/pattern/builders.h"

namespace longhaul::models {

int64_t visible_keys(const RecurrentOptions& options, int64_t memory) {
  switch (options.memory.same_length) {
    case SameLength::kOff: return 0;
    case SameLength::kMemory: return memory;
    case SameLength::kMemoryAndOne: return memory + 1;
  }
  return 0;
}

Pattern recurrent_pattern(const Extent& extent, int64_t window) {
  return window > 0 ? pattern::sliding_window(extent, window - 1, 0) : pattern::causal(extent);
}

Pattern stream_pattern(const Extent& extent, int64_t segment, int64_t memory, int64_t window) {
  PatternBuilder builder(extent);
  for (int64_t q = 0; q < builder.query_tiles(); ++q) {
    const Interval queries = builder.query_positions(q);
    for (int64_t k = 0; k < builder.key_tiles(); ++k) {
      const Interval keys = builder.key_positions(k);
      std::array<uint64_t, kPatternTile> rows{};
      bool any = false, all = true;
      for (int64_t i = queries.first; i <= queries.last; ++i) {
        int64_t from = floor_div(i, segment) * segment - memory;
        if (window > 0) from = std::max(from, i - window + 1);
        for (int64_t j = keys.first; j <= keys.last; ++j) {
          const bool sees = j >= from && j <= i;
          any |= sees, all &= sees;
          if (sees) rows[static_cast<size_t>(i - queries.first)] |= uint64_t{1} << (j - keys.first);
        }
      }
      if (!any) continue;
      TileRule rule;
      if (!all) {
        rule.terms = kBits;
        rule.bit_table = builder.bit_table(rows);
      }
      builder.add(0, q, k, rule);
    }
  }
  return builder.build();
}

}  // namespace longhaul::models
