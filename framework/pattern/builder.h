// defines: PatternBuilder
#pragma once
#include <map>
#include <vector>

#include "framework/pattern/pattern.h"

namespace longhaul {

/// Collects tiles and makes a Pattern. Tiles may be added in any order; each (layout, query tile, key tile) once.
class PatternBuilder {
 public:
  explicit PatternBuilder(const Extent& extent, int layouts = 1);

  /// Side keys (a compressed memory, gathered global tokens, inducing points); position of slot s is s + offset.
  PatternBuilder& side_keys(int64_t count, int64_t offset = 0);
  /// Tile row r holds tensor row permutation.rows[r]; call before any tile is added.
  PatternBuilder& permute_queries(Permutation permutation);
  PatternBuilder& permute_keys(Permutation permutation);
  /// The order of the rows is data: TokenFacts::rows names the tensor rows of `query_rows` and `key_rows` tile rows, and
  /// TokenFacts::position those of side keys, so any tile may hold any position. Call before any tile is added.
  PatternBuilder& order_is_data(int64_t query_rows, int64_t key_rows);
  /// A table of kBits; returns its index for TileRule::bit_table.
  int bit_table(std::span<const uint64_t, kPatternTile> rows);

  int64_t query_tiles() const;
  int64_t key_tiles() const;
  /// Positions of the real rows of a tile.
  Interval query_positions(int64_t query_tile) const;
  Interval key_positions(int64_t key_tile) const;
  Interval side_positions(int64_t side_tile) const;

  /// Lists a tile. A tile that the rule admits wholly becomes a full one, a tile it empties is left out.
  PatternBuilder& add(int layout, int64_t query_tile, int64_t key_tile, const TileRule& rule, float logm = 0);
  PatternBuilder& add_side(int layout, int64_t query_tile, int64_t side_tile, const TileRule& rule, float logm = 0);
  /// Every tile of [first, last] key tiles for one query tile.
  PatternBuilder& add_range(int layout, int64_t query_tile, int64_t first, int64_t last, const TileRule& rule);

  /// Throws InternalError when a tile was listed twice.
  Pattern build();

 private:
  struct Listed {
    int32_t query_tile;
    TileEntry entry;
  };
  uint16_t rule_index(const TileRule& rule);
  void list(int layout, int64_t query_tile, int64_t column, const TileRule& rule, float logm, Interval queries,
            Interval keys);
  Interval positions(const Permutation& permutation, int64_t tile, int64_t rows, int64_t offset) const;

  Pattern::Data data_;
  std::vector<std::vector<Listed>> listed_;                // by layout
  std::vector<Interval> query_intervals_, key_intervals_;  // by tile, with a permutation
};

}  // namespace longhaul
