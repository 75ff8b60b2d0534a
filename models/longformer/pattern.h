// defines: LongformerWindow, longformer_pattern
#pragma once
#include <vector>

#include "framework/pattern/pattern.h"

namespace longhaul::models {

/// The window of one layer: query i sees i + t dilation for t in [-left, right].
struct LongformerWindow {
  int64_t left = 0, right = 0;
  std::vector<int64_t> dilation;  // of each head, or one for all; empty: 1

  bool dilated() const;
  bool operator==(const LongformerWindow&) const = default;
};

/// Sliding window beside global tokens (Beltagy et al. 2020, section 3.1). Side keys are the gathered global tokens, seen by
/// every query; the window leaves out keys whose TokenInfo::global is set, so that each global key counts once. Without side
/// keys the window alone. With dilation the rows of a head are sorted by residue, so that no tile outside of its window is
/// visited; extents that are not square (decoding) keep their order. throws ConfigError on sizes that are no window
Pattern longformer_pattern(const Extent& extent, LongformerWindow window, int64_t side_keys);

}  // namespace longhaul::models
