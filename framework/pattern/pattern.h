// defines: kPatternTile, Extent, TileEntry, Permutation, Pattern
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "framework/pattern/rule.h"

namespace longhaul {

/// Rows and columns of a tile. A property of the kernels; models never choose it.
inline constexpr int kPatternTile = 64;

/// Sizes of the two sides and the positions of their first rows.
struct Extent {
  int64_t queries = 0, keys = 0;
  int64_t query_offset = 0, key_offset = 0;  // position of row r is r + offset

  static Extent square(int64_t rows) { return {rows, rows, 0, 0}; }
  /// The last `queries` of `keys` positions: decoding with a cache.
  static Extent decode(int64_t queries, int64_t keys) { return {queries, keys, keys - queries, 0}; }
  bool operator==(const Extent&) const = default;
};

/// One listed tile: key tile `column` as seen by a query tile. Columns from key_tiles() on are side tiles.
struct TileEntry {
  int32_t column = 0;
  uint16_t rule = 0;  // index into Pattern::rules(); 0 is the full tile
  float logm = 0;     // added to every score: ln(m) for a key tile that counts m times
  bool operator==(const TileEntry&) const = default;
};

/// For a key tile, one query tile that lists it, and where.
struct TransposedEntry {
  int32_t query_tile = 0;
  uint32_t entry = 0;  // index into Pattern::entries()
};

/// Tensor row of each tile row, -1 for padding: [batches][heads][rows], batches and heads 1 where shared. Each row
/// appears at most once. Empty: the identity.
struct Permutation {
  std::vector<int32_t> rows;
  int32_t batches = 1, heads = 1;
  bool empty() const { return rows.empty(); }
  bool operator==(const Permutation&) const = default;
};

class PatternBuilder;

/// Which key tiles every query tile sees, and the predicate inside partial tiles: fixed-size tiles in compressed rows,
/// one layout for all heads or one for each. Immutable; copies share the data. Read alike by the kernels, the planner,
/// the picture and the dense oracle. Each (query, key) pair is covered by at most one entry.
class Pattern {
 public:
  Pattern() = default;  // undefined
  bool defined() const { return data_ != nullptr; }

  const Extent& extent() const { return data_->extent; }
  int64_t queries() const { return data_->extent.queries; }
  int64_t keys() const { return data_->extent.keys; }
  int64_t side_keys() const { return data_->side_keys; }
  int64_t side_offset() const { return data_->side_offset; }
  int layouts() const { return data_->layouts; }  // 1 or the number of query heads

  /// Rows in tile order: the tensor's rows, or the rows of the permutation (PatternBuilder::order_is_data: more of them).
  int64_t query_rows() const { return data_->query_rows; }
  int64_t key_rows() const { return data_->key_rows; }
  int64_t query_tiles() const { return (data_->query_rows + kPatternTile - 1) / kPatternTile; }
  int64_t key_tiles() const { return (data_->key_rows + kPatternTile - 1) / kPatternTile; }
  int64_t side_tiles() const { return (data_->side_keys + kPatternTile - 1) / kPatternTile; }

  /// Entries of one query tile, ascending by column.
  std::span<const TileEntry> row(int layout, int64_t query_tile) const {
    const int64_t* begin = &data_->row_begin[static_cast<size_t>(layout * (query_tiles() + 1) + query_tile)];
    return {data_->entries.data() + begin[0], static_cast<size_t>(begin[1] - begin[0])};
  }
  /// Query tiles that list a key tile (side tiles follow the main ones), ascending.
  std::span<const TransposedEntry> column(int layout, int64_t key_tile) const {
    const int64_t* begin =
        &data_->column_begin[static_cast<size_t>(layout * (key_tiles() + side_tiles() + 1) + key_tile)];
    return {data_->transposed.data() + begin[0], static_cast<size_t>(begin[1] - begin[0])};
  }
  std::span<const TileEntry> entries() const { return data_->entries; }  // of all layouts
  std::span<const TileRule> rules() const { return data_->rules; }
  const TileRule& rule(const TileEntry& entry) const { return data_->rules[entry.rule]; }
  /// Bits of the columns of each row of a tile.
  std::span<const uint64_t, kPatternTile> bit_table(int table) const {
    return std::span<const uint64_t, kPatternTile>(data_->bits.data() + static_cast<size_t>(table) * kPatternTile,
                                                   kPatternTile);
  }
  /// The order of the rows comes with the call (TokenFacts::rows).
  bool order_is_data() const { return data_->order_is_data; }
  const Permutation& query_permutation() const { return data_->query_permutation; }
  const Permutation& key_permutation() const { return data_->key_permutation; }
  /// Union of the terms of all rules: tells which token facts a call must bring.
  uint32_t terms() const { return data_->terms; }

  /// Equal patterns have equal hashes, on every machine.
  uint64_t hash() const { return data_->hash; }
  /// Bytes the object occupies.
  int64_t bytes() const;

 private:
  friend class PatternBuilder;
  struct Data {
    Extent extent;
    int64_t side_keys = 0, side_offset = 0, query_rows = 0, key_rows = 0;
    int layouts = 1;
    bool order_is_data = false;
    uint32_t terms = 0;
    uint64_t hash = 0;
    std::vector<int64_t> row_begin;  // [layouts][query_tiles + 1]
    std::vector<TileEntry> entries;
    std::vector<int64_t> column_begin;  // [layouts][key_tiles + side_tiles + 1]
    std::vector<TransposedEntry> transposed;
    std::vector<TileRule> rules;
    std::vector<uint64_t> bits;  // [tables][64]
    Permutation query_permutation, key_permutation;
  };
  explicit Pattern(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

}  // namespace longhaul
