#include "models/longformer/pattern.h"

#include <algorithm>
#include <limits>

#include "framework/base/error.h"
#include "framework/pattern/builder.h"
#include "framework/pattern/builders.h"

namespace longhaul::models {
namespace {

int32_t narrow(int64_t value) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  return static_cast<int32_t>(std::clamp(value, -kMost, kMost));
}

int64_t tiles(int64_t rows) { return (rows + kPatternTile - 1) / kPatternTile; }

/// Key tiles [first, last] of a query tile.
struct TileRange {
  int64_t first = 0, last = -1;
};

/// In the order of the tensor: tiles that meet [i - left, i + right] for a query i of the tile.
TileRange range_by_position(const PatternBuilder& builder, const Extent& extent, int64_t query_tile, int64_t left,
                            int64_t right) {
  const Interval at = builder.query_positions(query_tile);
  return {floor_div(at.first - left - extent.key_offset, kPatternTile),
          floor_div(at.last + right - extent.key_offset, kPatternTile)};
}

/// Rows of every head sorted by its residues; all heads are padded to the same number of rows.
Permutation residues_by_head(int64_t rows, const std::vector<int64_t>& dilation) {
  std::vector<Permutation> by_head;
  size_t longest = 0;
  for (const int64_t step : dilation) {
    by_head.push_back(pattern::residue_permutation(rows, step));
    longest = std::max(longest, by_head.back().rows.size());
  }
  Permutation out;
  out.heads = static_cast<int32_t>(dilation.size());
  for (Permutation& one : by_head) {
    one.rows.resize(longest, -1);
    out.rows.insert(out.rows.end(), one.rows.begin(), one.rows.end());
  }
  return out;
}

/// With rows sorted by residue: the tiles of every class against those of the same class.
void add_classes(PatternBuilder& builder, int layout, int64_t rows, int64_t step, const LongformerWindow& window,
                 const TileRule& rule) {
  int64_t begin = 0;
  for (int64_t residue = 0; residue < std::min(step, rows); ++residue) {
    const int64_t class_tiles = tiles((rows - residue + step - 1) / step);
    for (int64_t q = 0; q < class_tiles; ++q) {
      const int64_t first = std::max<int64_t>(floor_div(q * kPatternTile - window.left, kPatternTile), 0);
      const int64_t last = std::min(((q + 1) * kPatternTile - 1 + window.right) / kPatternTile, class_tiles - 1);
      builder.add_range(layout, begin + q, begin + first, begin + last, rule);
    }
    begin += class_tiles;
  }
}

}  // namespace

bool LongformerWindow::dilated() const {
  return std::any_of(dilation.begin(), dilation.end(), [](int64_t step) { return step != 1; });
}

Pattern longformer_pattern(const Extent& extent, LongformerWindow window, int64_t side_keys) {
  check<ConfigError>(window.left >= 0 && window.right >= 0,
                     "[longformer] a window of {} tokens before and {} after: both are 0 or more", window.left,
                     window.right);
  for (const int64_t step : window.dilation)
    check<ConfigError>(step >= 1, "[longformer] a dilation of {}: it is 1 or more", step);
  // Wider than the sequence is as wide as the sequence, and its products with a step stay numbers.
  const int64_t longest = std::max(extent.query_offset + extent.queries, extent.key_offset + extent.keys);
  window.left = std::min(window.left, longest), window.right = std::min(window.right, longest);
  std::vector<int64_t> dilation = window.dilated() ? window.dilation : std::vector<int64_t>{1};
  for (int64_t& step : dilation) step = std::min(step, std::max<int64_t>(longest, 1));
  const bool square = extent.queries == extent.keys && extent.query_offset == extent.key_offset;
  const bool sorted = square && window.dilated();
  PatternBuilder builder(extent, static_cast<int>(dilation.size()));
  builder.side_keys(side_keys);
  if (sorted) {
    const Permutation permutation = residues_by_head(extent.queries, dilation);
    builder.permute_queries(permutation).permute_keys(permutation);
  }
  for (size_t head = 0; head < dilation.size(); ++head) {
    const int layout = static_cast<int>(head);
    const int64_t step = dilation[head];
    TileRule rule;
    rule.terms = kBand | (side_keys > 0 ? kNotGlobal : 0u) | (step > 1 && !sorted ? kStride : 0u);
    rule.band_lo = narrow(-window.left * step);
    rule.band_hi = narrow(window.right * step);
    rule.stride = narrow(step);
    if (sorted) add_classes(builder, layout, extent.queries, step, window, rule);
    for (int64_t q = 0; q < builder.query_tiles(); ++q) {
      if (!sorted) {
        const TileRange range = range_by_position(builder, extent, q, window.left * step, window.right * step);
        builder.add_range(layout, q, range.first, range.last, rule);
      }
      for (int64_t side = 0; side < tiles(side_keys); ++side) builder.add_side(layout, q, side, {});
    }
  }
  return builder.build();
}

}  // namespace longhaul::models
