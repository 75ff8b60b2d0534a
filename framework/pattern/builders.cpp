#include "framework/pattern/builders.h"

#include <algorithm>
#include <limits>

#include "framework/base/error.h"
#include "framework/pattern/builder.h"

namespace longhaul::pattern {
namespace {

int32_t narrow(int64_t value) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  return static_cast<int32_t>(std::clamp(value, -kMost, kMost));
}

/// Key tile that holds a position of an unpermuted side.
int64_t tile_of(int64_t position, const Extent& extent) {
  return floor_div(position - extent.key_offset, kPatternTile);
}

/// All query tiles against the key tiles whose positions may meet [first - left, last + right] of the query tile.
Pattern banded(const Extent& extent, int64_t left, int64_t right, const TileRule& rule) {
  PatternBuilder builder(extent);
  for (int64_t q = 0; q < builder.query_tiles(); ++q) {
    const Interval at = builder.query_positions(q);
    builder.add_range(0, q, tile_of(at.first - left, extent), tile_of(at.last + right, extent), rule);
  }
  return builder.build();
}

constexpr int64_t kFar = int64_t{1} << 40;

}  // namespace

Pattern dense(const Extent& extent) { return banded(extent, kFar, kFar, {}); }

Pattern causal(const Extent& extent) {
  TileRule rule;
  rule.terms = kCausal;
  return banded(extent, kFar, 0, rule);
}

Pattern sliding_window(const Extent& extent, int64_t left, int64_t right) {
  check<ConfigError>(left >= 0 && right >= 0,
                     "[sliding_window] left = {} and right = {}: a window is 0 or more tokens on each side\n"
                     "  hint: left = 0 and right = 0 let a token see only itself",
                     left, right);
  TileRule rule;
  rule.terms = kBand;
  rule.band_lo = narrow(-left);
  rule.band_hi = narrow(right);
  return banded(extent, left, right, rule);
}

Pattern blocks(const Extent& extent, int64_t block, bool causal) {
  check<ConfigError>(block >= 1, "[blocks] block = {}: a block is 1 or more tokens", block);
  TileRule rule;
  rule.terms = kSameSegment | (causal ? kCausal : 0u);
  rule.segment = narrow(block);
  TileRule inside;  // tiles that lie in one block need only the causal test
  inside.terms = causal ? kCausal : 0u;
  PatternBuilder builder(extent);
  for (int64_t q = 0; q < builder.query_tiles(); ++q) {
    const Interval at = builder.query_positions(q);
    const int64_t first = floor_div(at.first, block) * block, last = (floor_div(at.last, block) + 1) * block - 1;
    for (int64_t k = std::max<int64_t>(tile_of(first, extent), 0);
         k <= std::min(tile_of(last, extent), builder.key_tiles() - 1); ++k) {
      TileRule same;
      same.terms = kSameSegment;
      same.segment = rule.segment;
      const bool one_block = classify(same, at, builder.key_positions(k)) == Coverage::kAll;
      builder.add(0, q, k, one_block ? inside : rule);
    }
  }
  return builder.build();
}

Permutation residue_permutation(int64_t rows, int64_t stride) {
  Permutation out;
  for (int64_t residue = 0; residue < std::min(stride, rows); ++residue) {
    for (int64_t row = residue; row < rows; row += stride) out.rows.push_back(static_cast<int32_t>(row));
    while (out.rows.size() % kPatternTile != 0) out.rows.push_back(-1);
  }
  return out;
}

namespace {

/// Tiles of one residue class against each other, [left, right] tokens apart.
Pattern by_residue(const Extent& extent, int64_t stride, int64_t left, int64_t right, const TileRule& rule,
                   const char* name) {
  check<ConfigError>(stride >= 1, "[{}] stride = {}: a stride is 1 or more tokens", name, stride);
  check<ShapeError>(extent.queries == extent.keys && extent.query_offset == extent.key_offset,
                    "[{}] {} queries and {} keys: residues are sorted for equal sides only", name, extent.queries,
                    extent.keys);
  if (stride == 1) return banded(extent, left, right, rule);
  const Permutation permutation = residue_permutation(extent.queries, stride);
  PatternBuilder builder(extent);
  builder.permute_queries(permutation).permute_keys(permutation);
  int64_t class_begin = 0;
  for (int64_t residue = 0; residue < std::min(stride, extent.queries); ++residue) {
    const int64_t members = (extent.queries - residue + stride - 1) / stride;
    const int64_t class_tiles = (members + kPatternTile - 1) / kPatternTile;
    for (int64_t q = 0; q < class_tiles; ++q) {
      const int64_t first = std::max<int64_t>(floor_div(q * kPatternTile - left / stride, kPatternTile), 0);
      const int64_t last = std::min(((q + 1) * kPatternTile - 1 + right / stride) / kPatternTile, class_tiles - 1);
      builder.add_range(0, class_begin + q, class_begin + first, class_begin + last, rule);
    }
    class_begin += class_tiles;
  }
  return builder.build();
}

}  // namespace

Pattern strided(const Extent& extent, int64_t stride, bool causal) {
  TileRule rule;
  rule.terms = causal ? kCausal : 0u;
  return by_residue(extent, stride, kFar, causal ? 0 : kFar, rule, "strided");
}

Pattern dilated_window(const Extent& extent, int64_t dilation, int64_t left, int64_t right) {
  check<ConfigError>(left >= 0 && right >= 0,
                     "[dilated_window] left = {} and right = {}: a window is 0 or more steps on each side", left,
                     right);
  TileRule rule;
  rule.terms = kBand;
  rule.band_lo = narrow(-left * dilation);
  rule.band_hi = narrow(right * dilation);
  return by_residue(extent, dilation, left * dilation, right * dilation, rule, "dilated_window");
}

namespace {

/// The same tiles with one more term in every rule.
Pattern with_term(const Pattern& pattern, RuleTerm term) {
  PatternBuilder builder(pattern.extent(), pattern.layouts());
  builder.side_keys(pattern.side_keys(), pattern.side_offset());
  if (!pattern.query_permutation().empty()) builder.permute_queries(pattern.query_permutation());
  if (!pattern.key_permutation().empty()) builder.permute_keys(pattern.key_permutation());
  if (pattern.order_is_data()) builder.order_is_data(pattern.query_rows(), pattern.key_rows());
  const int64_t key_tiles = pattern.key_tiles();
  for (int layout = 0; layout < pattern.layouts(); ++layout) {
    for (int64_t q = 0; q < pattern.query_tiles(); ++q) {
      for (const TileEntry& entry : pattern.row(layout, q)) {
        TileRule rule = pattern.rule(entry);
        if (rule.terms & kBits) rule.bit_table = builder.bit_table(pattern.bit_table(rule.bit_table));
        rule.terms |= term;
        if (entry.column < key_tiles) {
          builder.add(layout, q, entry.column, rule, entry.logm);
        } else {
          builder.add_side(layout, q, entry.column - key_tiles, rule, entry.logm);
        }
      }
    }
  }
  return builder.build();
}

}  // namespace

Pattern within_segments(const Pattern& pattern) { return with_term(pattern, kSegmentId); }

Pattern listed_once(const Pattern& pattern) { return with_term(pattern, kFirstListing); }

}  // namespace longhaul::pattern
