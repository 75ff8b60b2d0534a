#include "framework/pattern/builder.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "framework/base/error.h"
#include "framework/tensor/random.h"

namespace longhaul {
namespace {

int64_t tiles(int64_t rows) { return (rows + kPatternTile - 1) / kPatternTile; }

/// Interval of positions in every tile, over all batch entries and heads of a permutation.
std::vector<Interval> intervals(const Permutation& permutation, int64_t rows, int64_t offset) {
  std::vector<Interval> out(static_cast<size_t>(tiles(rows)),
                            {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()});
  for (size_t n = 0; n < permutation.rows.size(); ++n) {
    if (permutation.rows[n] < 0) continue;
    Interval& interval = out[n % static_cast<size_t>(rows) / kPatternTile];
    interval.first = std::min(interval.first, permutation.rows[n] + offset);
    interval.last = std::max(interval.last, permutation.rows[n] + offset);
  }
  return out;
}

int64_t rows_of(const Permutation& permutation) {
  return static_cast<int64_t>(permutation.rows.size()) / (int64_t{permutation.batches} * permutation.heads);
}

/// Order-dependent hash of 64-bit words.
class Hash {
 public:
  void word(uint64_t w) { state_ = mix64(state_ + 0x9E3779B97F4A7C15u) ^ mix64(w + 0x632BE59BD9B4E019u * ++count_); }
  uint64_t value() const { return mix64(state_); }

 private:
  uint64_t state_ = 0, count_ = 0;
};

void hash_permutation(Hash& hash, const Permutation& permutation) {
  hash.word(static_cast<uint64_t>(permutation.batches) << 32 | static_cast<uint32_t>(permutation.heads));
  hash.word(permutation.rows.size());
  for (const int32_t row : permutation.rows) hash.word(static_cast<uint32_t>(row));
}

}  // namespace

PatternBuilder::PatternBuilder(const Extent& extent, int layouts) : listed_(static_cast<size_t>(layouts)) {
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  check<ShapeError>(extent.queries >= 0 && extent.keys >= 0 && extent.queries <= kMost && extent.keys <= kMost,
                    "[pattern] {} queries and {} keys: each side has 0 to {} rows", extent.queries, extent.keys, kMost);
  data_.extent = extent;
  data_.layouts = layouts;
  data_.query_rows = extent.queries;
  data_.key_rows = extent.keys;
  data_.rules.emplace_back();  // the full tile
}

PatternBuilder& PatternBuilder::side_keys(int64_t count, int64_t offset) {
  data_.side_keys = count;
  data_.side_offset = offset;
  return *this;
}

PatternBuilder& PatternBuilder::permute_queries(Permutation permutation) {
  data_.query_permutation = std::move(permutation);
  data_.query_rows = rows_of(data_.query_permutation);
  query_intervals_ = intervals(data_.query_permutation, data_.query_rows, data_.extent.query_offset);
  return *this;
}

PatternBuilder& PatternBuilder::permute_keys(Permutation permutation) {
  data_.key_permutation = std::move(permutation);
  data_.key_rows = rows_of(data_.key_permutation);
  key_intervals_ = intervals(data_.key_permutation, data_.key_rows, data_.extent.key_offset);
  return *this;
}

PatternBuilder& PatternBuilder::order_is_data(int64_t query_rows, int64_t key_rows) {
  data_.query_rows = query_rows;
  data_.key_rows = key_rows;
  data_.order_is_data = true;
  return *this;
}

int PatternBuilder::bit_table(std::span<const uint64_t, kPatternTile> rows) {
  const int tables = static_cast<int>(data_.bits.size() / kPatternTile);
  for (int table = 0; table < tables; ++table) {
    if (std::equal(rows.begin(), rows.end(), data_.bits.begin() + static_cast<ptrdiff_t>(table) * kPatternTile))
      return table;
  }
  data_.bits.insert(data_.bits.end(), rows.begin(), rows.end());
  return tables;
}

int64_t PatternBuilder::query_tiles() const { return tiles(data_.query_rows); }
int64_t PatternBuilder::key_tiles() const { return tiles(data_.key_rows); }

static Interval rows_of_tile(int64_t tile, int64_t rows, int64_t offset) {
  return {tile * kPatternTile + offset, std::min((tile + 1) * kPatternTile, rows) - 1 + offset};
}

/// Where tokens of either side may stand.
static Interval any_position(const Extent& extent) {
  return {std::min(extent.query_offset, extent.key_offset),
          std::max(extent.query_offset + extent.queries, extent.key_offset + extent.keys) - 1};
}

Interval PatternBuilder::query_positions(int64_t tile) const {
  if (data_.order_is_data) return any_position(data_.extent);
  return query_intervals_.empty() ? rows_of_tile(tile, data_.query_rows, data_.extent.query_offset)
                                  : query_intervals_[static_cast<size_t>(tile)];
}

Interval PatternBuilder::key_positions(int64_t tile) const {
  if (data_.order_is_data) return any_position(data_.extent);
  return key_intervals_.empty() ? rows_of_tile(tile, data_.key_rows, data_.extent.key_offset)
                                : key_intervals_[static_cast<size_t>(tile)];
}

Interval PatternBuilder::side_positions(int64_t tile) const {
  if (data_.order_is_data) return any_position(data_.extent);
  return rows_of_tile(tile, data_.side_keys, data_.side_offset);
}

uint16_t PatternBuilder::rule_index(const TileRule& rule) {
  const auto found = std::find(data_.rules.begin(), data_.rules.end(), rule);
  if (found != data_.rules.end()) return static_cast<uint16_t>(found - data_.rules.begin());
  check<InternalError>(data_.rules.size() < 65535, "a pattern has more than 65535 different tile rules");
  data_.rules.push_back(rule);
  return static_cast<uint16_t>(data_.rules.size() - 1);
}

void PatternBuilder::list(int layout, int64_t query_tile, int64_t column, const TileRule& rule, float logm,
                          Interval queries, Interval keys) {
  const Coverage coverage = classify(rule, queries, keys);
  if (coverage == Coverage::kNone) return;
  const uint16_t index = coverage == Coverage::kAll ? 0 : rule_index(rule);
  listed_[static_cast<size_t>(layout)].push_back(
      {static_cast<int32_t>(query_tile), {static_cast<int32_t>(column), index, logm}});
}

PatternBuilder& PatternBuilder::add(int layout, int64_t query_tile, int64_t key_tile, const TileRule& rule,
                                    float logm) {
  list(layout, query_tile, key_tile, rule, logm, query_positions(query_tile), key_positions(key_tile));
  return *this;
}

PatternBuilder& PatternBuilder::add_side(int layout, int64_t query_tile, int64_t side_tile, const TileRule& rule,
                                         float logm) {
  list(layout, query_tile, key_tiles() + side_tile, rule, logm, query_positions(query_tile), side_positions(side_tile));
  return *this;
}

PatternBuilder& PatternBuilder::add_range(int layout, int64_t query_tile, int64_t first, int64_t last,
                                          const TileRule& rule) {
  for (int64_t tile = std::max<int64_t>(first, 0); tile <= std::min(last, key_tiles() - 1); ++tile)
    add(layout, query_tile, tile, rule);
  return *this;
}

Pattern PatternBuilder::build() {
  const int64_t rows = query_tiles(), columns = key_tiles() + tiles(data_.side_keys);
  Hash hash;
  for (auto& listed : listed_) {
    const auto before = [](const Listed& a, const Listed& b) {
      return a.query_tile != b.query_tile ? a.query_tile < b.query_tile : a.entry.column < b.entry.column;
    };
    if (!std::is_sorted(listed.begin(), listed.end(), before)) std::sort(listed.begin(), listed.end(), before);
    std::vector<int64_t> row_count(static_cast<size_t>(rows) + 1, 0), column_count(static_cast<size_t>(columns) + 1, 0);
    for (size_t n = 0; n < listed.size(); ++n) {
      const Listed& one = listed[n];
      check<InternalError>(n == 0 || before(listed[n - 1], one), "a pattern lists key tile {} of query tile {} twice",
                           one.entry.column, one.query_tile);
      ++row_count[static_cast<size_t>(one.query_tile) + 1];
      ++column_count[static_cast<size_t>(one.entry.column) + 1];
    }
    const int64_t base = static_cast<int64_t>(data_.entries.size());
    row_count[0] = column_count[0] = base;
    for (int64_t r = 0; r < rows; ++r) row_count[static_cast<size_t>(r) + 1] += row_count[static_cast<size_t>(r)];
    for (int64_t c = 0; c < columns; ++c)
      column_count[static_cast<size_t>(c) + 1] += column_count[static_cast<size_t>(c)];
    data_.row_begin.insert(data_.row_begin.end(), row_count.begin(), row_count.end());
    data_.column_begin.insert(data_.column_begin.end(), column_count.begin(), column_count.end());
    data_.entries.reserve(data_.entries.size() + listed.size());
    data_.transposed.resize(data_.transposed.size() + listed.size());
    for (const Listed& one : listed) {
      int64_t& next = column_count[static_cast<size_t>(one.entry.column)];
      data_.transposed[static_cast<size_t>(next++)] = {one.query_tile, static_cast<uint32_t>(data_.entries.size())};
      data_.entries.push_back(one.entry);
      data_.terms |= data_.rules[one.entry.rule].terms;
    }
    listed = {};
  }
  for (const int64_t word :
       {data_.extent.queries, data_.extent.keys, data_.extent.query_offset, data_.extent.key_offset, data_.side_keys,
        data_.side_offset, static_cast<int64_t>(data_.layouts)}) {
    hash.word(static_cast<uint64_t>(word));
  }
  for (const int64_t begin : data_.row_begin) hash.word(static_cast<uint64_t>(begin));
  for (const TileEntry& e : data_.entries)
    hash.word(static_cast<uint64_t>(e.column) << 32 | static_cast<uint64_t>(e.rule)),
        hash.word(std::bit_cast<uint32_t>(e.logm));
  for (const TileRule& r : data_.rules) {
    for (const int64_t word :
         {static_cast<int64_t>(r.terms), static_cast<int64_t>(r.band_lo), static_cast<int64_t>(r.band_hi),
          static_cast<int64_t>(r.segment), static_cast<int64_t>(r.stride), static_cast<int64_t>(r.tail),
          static_cast<int64_t>(r.compress), static_cast<int64_t>(r.bit_table), static_cast<int64_t>(r.self)}) {
      hash.word(static_cast<uint64_t>(word));
    }
  }
  for (const uint64_t bits : data_.bits) hash.word(bits);
  hash_permutation(hash, data_.query_permutation);
  hash_permutation(hash, data_.key_permutation);
  data_.hash = hash.value();
  return Pattern(std::make_shared<const Pattern::Data>(std::move(data_)));
}

}  // namespace longhaul
