#include "framework/pattern/chunks.h"

#include <algorithm>
#include <array>

#include "framework/base/error.h"
#include "framework/pattern/builder.h"

namespace longhaul::pattern {
namespace {

void check_options(const char* name, const ChunkOptions& options) {
  check<ConfigError>(options.chunk >= 1, "[{}] chunk = {}: a chunk is 1 or more tokens", name, options.chunk);
  check<ConfigError>(options.before >= 0 && options.after >= 0,
                     "[{}] before = {} and after = {}: a chunk sees 0 or more chunks on each side", name,
                     options.before, options.after);
}

/// Bits first .. last of a word, both within or beyond it.
uint64_t bits_between(int64_t first, int64_t last) {
  first = std::max<int64_t>(first, 0);
  last = std::min<int64_t>(last, kPatternTile - 1);
  if (first > last) return 0;
  return (~uint64_t{0} >> (kPatternTile - 1 - (last - first))) << first;
}

using Bits = std::array<uint64_t, kPatternTile>;

/// Lists a tile whose rows see the columns of `bits`; columns that do not exist count as seen.
template <typename Add>
void add_bits(PatternBuilder& builder, const Bits& bits, int64_t rows, TileRule rule, Add add) {
  const auto real = std::span(bits).first(static_cast<size_t>(rows));
  if (std::all_of(real.begin(), real.end(), [](uint64_t word) { return word == 0; })) return;
  if (std::any_of(real.begin(), real.end(), [](uint64_t word) { return word != ~uint64_t{0}; })) {
    rule.terms |= kBits;
    rule.bit_table = builder.bit_table(bits);
  }
  add(rule);
}

/// Lists for query tile `q` the key tiles that its rows' intervals of columns touch. `seen(row)` gives up to two
/// intervals.
template <typename Seen>
void add_intervals(PatternBuilder& builder, int64_t q, int64_t query_rows, int64_t keys, const TileRule& rule,
                   Seen seen) {
  const int64_t first_row = q * kPatternTile, rows = std::min<int64_t>(kPatternTile, query_rows - first_row);
  const int64_t tiles = (keys + kPatternTile - 1) / kPatternTile;
  std::vector<int64_t> touched;
  for (int64_t r = 0; r < rows; ++r) {
    for (const Interval& interval : seen(first_row + r)) {
      const int64_t first = std::max<int64_t>(interval.first, 0), last = std::min(interval.last, keys - 1);
      for (int64_t k = first / kPatternTile; first <= last && k <= last / kPatternTile; ++k) touched.push_back(k);
    }
    std::sort(touched.begin(), touched.end());
    touched.erase(std::unique(touched.begin(), touched.end()), touched.end());
  }
  for (const int64_t k : touched) {
    Bits bits{};
    for (int64_t r = 0; r < rows; ++r) {
      for (const Interval& interval : seen(first_row + r)) {
        // A key that ends the sequence stands for the padding behind it, so that fewer tables differ.
        const int64_t last = interval.last >= keys - 1 ? tiles * kPatternTile - 1 : interval.last;
        bits[static_cast<size_t>(r)] |= bits_between(interval.first - k * kPatternTile, last - k * kPatternTile);
      }
    }
    add_bits(builder, bits, rows, rule, [&](const TileRule& with) { builder.add(0, q, k, with); });
  }
}

TileRule not_the_own(bool causal) {
  TileRule rule;
  rule.terms = causal ? kStrict : 0u;
  rule.self = causal ? SelfScore::kKeep : SelfScore::kForbid;
  return rule;
}

}  // namespace

Pattern others(const Extent& extent, bool causal) {
  PatternBuilder builder(extent);
  for (int64_t q = 0; q < builder.query_tiles(); ++q)
    builder.add_range(0, q, 0, builder.key_tiles() - 1, not_the_own(causal));
  return builder.build();
}

int64_t chunked_rows(int64_t tokens, int64_t chunk) { return (tokens + chunk - 1) / chunk * chunk; }

Pattern local_chunks(const Extent& extent, const ChunkOptions& options, bool ring) {
  check_options("local_chunks", options);
  const int64_t chunk = options.chunk, count = (extent.key_offset + extent.keys + chunk - 1) / chunk;
  const bool all = ring && !options.causal && options.before + options.after + 1 >= count;
  TileRule rule;
  rule.terms = options.causal ? kCausal : 0u;
  PatternBuilder builder(extent);
  for (int64_t q = 0; q < builder.query_tiles(); ++q) {
    add_intervals(builder, q, extent.queries, extent.keys, rule, [&](int64_t row) -> std::array<Interval, 2> {
      const int64_t own = floor_div(row + extent.query_offset, chunk);
      const auto keys_of = [&](int64_t first, int64_t last) -> Interval {  // chunks to rows of the keys
        return {first * chunk - extent.key_offset, (last + 1) * chunk - 1 - extent.key_offset};
      };
      if (all) return {keys_of(0, count - 1), Interval{}};
      const Interval near = keys_of(own - options.before, own + options.after);
      if (!ring || options.causal) return {near, Interval{}};
      if (own < options.before) return {near, keys_of(count + own - options.before, count - 1)};
      if (own + options.after >= count) return {near, keys_of(0, own + options.after - count)};
      return {near, Interval{}};
    });
  }
  return builder.build();
}

Pattern sorted_chunks(int64_t tokens, const ChunkOptions& options) {
  check_options("sorted_chunks", options);
  const int64_t chunk = options.chunk, slots = chunked_rows(tokens, chunk);
  const int64_t front = options.before * chunk, side = front + options.after * chunk;
  const TileRule rule = not_the_own(options.causal);
  PatternBuilder builder(Extent::square(tokens));
  builder.order_is_data(slots, slots).side_keys(side);
  for (int64_t q = 0; q < builder.query_tiles(); ++q) {
    add_intervals(builder, q, slots, slots, rule, [&](int64_t slot) -> std::array<Interval, 1> {
      const int64_t own = slot / chunk;
      return {Interval{(own - options.before) * chunk, (own + 1 + options.after) * chunk - 1}};
    });
    const int64_t first_row = q * kPatternTile, rows = std::min<int64_t>(kPatternTile, slots - first_row);
    for (int64_t k = 0; k * kPatternTile < side; ++k) {
      Bits bits{};
      for (int64_t r = 0; r < rows; ++r) {
        const int64_t own = (first_row + r) / chunk;
        // Side slot u < front lies front - u slots before slot 0, the others follow the last slot.
        const int64_t sees_from = own * chunk, sees_to = front + (own + 1 + options.after) * chunk - slots;
        bits[static_cast<size_t>(r)] = bits_between(sees_from - k * kPatternTile, front - 1 - k * kPatternTile) |
                                       bits_between(front - k * kPatternTile, sees_to - 1 - k * kPatternTile);
      }
      add_bits(builder, bits, rows, rule, [&](const TileRule& with) { builder.add_side(0, q, k, with); });
    }
  }
  return builder.build();
}

Pattern with_order(const Pattern& pattern, const Permutation& order) {
  PatternBuilder builder(pattern.extent());
  builder.permute_queries(order).permute_keys(order);
  for (int64_t q = 0; q < pattern.query_tiles(); ++q) {
    for (const TileEntry& entry : pattern.row(0, q)) {
      if (entry.column >= pattern.key_tiles()) continue;
      TileRule rule = pattern.rule(entry);
      if (rule.terms & kBits) rule.bit_table = builder.bit_table(pattern.bit_table(rule.bit_table));
      builder.add(0, q, entry.column, rule, entry.logm);
    }
  }
  return builder.build();
}

}  // namespace longhaul::pattern
