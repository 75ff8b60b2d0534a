#include "framework/pattern/audit.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace longhaul {
namespace {

/// `of`: rows of the tensor. Without a permutation, and where the order is data, the rows in their natural order.
int64_t tensor_row(const Permutation& permutation, int64_t batch, int64_t head, int64_t tile_row, int64_t rows,
                   int64_t of) {
  if (tile_row >= rows) return -1;
  if (permutation.empty()) return tile_row < of ? tile_row : -1;
  const int64_t plane = (permutation.batches > 1 ? batch : 0) * permutation.heads + (permutation.heads > 1 ? head : 0);
  return permutation.rows[static_cast<size_t>(plane * rows + tile_row)];
}

/// Calls f(query row, key row, side) for every visible pair of an entry.
template <typename F>
void each_pair(const Pattern& pattern, int64_t query_tile, const TileEntry& entry, int64_t batch, int64_t head, F f) {
  const TileRule& rule = pattern.rule(entry);
  const bool side = entry.column >= pattern.key_tiles();
  const int64_t first_query = query_tile * kPatternTile,
                first_key = (side ? entry.column - pattern.key_tiles() : entry.column) * kPatternTile;
  for (int64_t r = 0; r < kPatternTile; ++r) {
    const int64_t i =
        tensor_row(pattern.query_permutation(), batch, head, first_query + r, pattern.query_rows(), pattern.queries());
    if (i < 0) continue;
    for (int64_t c = 0; c < kPatternTile; ++c) {
      const int64_t j =
          side ? (first_key + c < pattern.side_keys() ? first_key + c : -1)
               : tensor_row(pattern.key_permutation(), batch, head, first_key + c, pattern.key_rows(), pattern.keys());
      if (j < 0) continue;
      Pair pair;
      pair.query = i + pattern.extent().query_offset;
      pair.key = j + (side ? pattern.side_offset() : pattern.extent().key_offset);
      if (rule.terms & kBits) pair.bit = (pattern.bit_table(rule.bit_table)[static_cast<size_t>(r)] >> c & 1) != 0;
      if (allows(rule, pair)) f(i, j, side);
    }
  }
}

}  // namespace

std::vector<float> multiplicities(const Pattern& pattern, int layout, int64_t batch, int64_t head) {
  const int64_t width = pattern.keys() + pattern.side_keys();
  std::vector<float> out(static_cast<size_t>(pattern.queries() * width), 0.0f);
  for (int64_t q = 0; q < pattern.query_tiles(); ++q) {
    for (const TileEntry& entry : pattern.row(layout, q)) {
      const float times = std::exp(entry.logm);
      each_pair(pattern, q, entry, batch, head, [&](int64_t i, int64_t j, bool side) {
        out[static_cast<size_t>(i * width + (side ? pattern.keys() + j : j))] += times;
      });
    }
  }
  return out;
}

PatternAudit audit(const Pattern& pattern, const std::function<float(int64_t, int64_t, bool)>& expected, int layout) {
  PatternAudit result;
  const auto differ = [&](std::string text) {
    if (result.exact) result = {false, std::move(text)};
  };
  for (const Permutation* permutation : {&pattern.query_permutation(), &pattern.key_permutation()}) {
    if (permutation->empty()) continue;
    const int64_t rows = permutation == &pattern.query_permutation() ? pattern.query_rows() : pattern.key_rows();
    for (size_t plane = 0; plane * static_cast<size_t>(rows) < permutation->rows.size(); ++plane) {
      std::vector<int32_t> named(permutation->rows.begin() + static_cast<ptrdiff_t>(plane) * rows,
                                 permutation->rows.begin() + static_cast<ptrdiff_t>(plane + 1) * rows);
      std::sort(named.begin(), named.end());
      for (size_t n = 1; n < named.size(); ++n) {
        if (named[n] >= 0 && named[n] == named[n - 1])
          differ(fmt::format("row {} appears twice in a permutation", named[n]));
      }
    }
  }
  int64_t transposed = 0, listed = 0;
  for (int64_t q = 0; q < pattern.query_tiles(); ++q) listed += static_cast<int64_t>(pattern.row(layout, q).size());
  for (int64_t k = 0; k < pattern.key_tiles() + pattern.side_tiles(); ++k) {
    for (const TransposedEntry& at : pattern.column(layout, k)) {
      ++transposed;
      const auto row = pattern.row(layout, at.query_tile);
      const TileEntry* entry = &pattern.entries()[at.entry];
      if (entry < row.data() || entry >= row.data() + row.size() || entry->column != k) {
        differ(fmt::format("the transposed list of key tile {} names an entry that query tile {} does not have", k,
                           at.query_tile));
      }
    }
  }
  if (transposed != listed) differ(fmt::format("{} tiles are listed, {} transposed", listed, transposed));
  const std::vector<float> counted = multiplicities(pattern, layout);
  const int64_t width = pattern.keys() + pattern.side_keys();
  for (int64_t i = 0; i < pattern.queries() && result.exact; ++i) {
    for (int64_t c = 0; c < width; ++c) {
      const bool side = c >= pattern.keys();
      const int64_t j = side ? c - pattern.keys() : c;
      const float want = expected(i, j, side), have = counted[static_cast<size_t>(i * width + c)];
      if (std::abs(want - have) > 1e-4f * std::max(1.0f, want)) {
        differ(fmt::format("query {}, key {}{}: counted {:g}, expected {:g}", i, j, side ? " (side)" : "", have, want));
      }
    }
  }
  return result;
}

int64_t visible_pairs(const Pattern& pattern, int64_t query_tile, const TileEntry& entry) {
  int64_t pairs = 0;
  if (pattern.rule(entry).is_full() && pattern.query_permutation().empty() && pattern.key_permutation().empty()) {
    const bool side = entry.column >= pattern.key_tiles();
    const int64_t keys = side ? pattern.side_keys() - (entry.column - pattern.key_tiles()) * kPatternTile
                              : pattern.keys() - entry.column * int64_t{kPatternTile};
    return std::min<int64_t>(kPatternTile, pattern.queries() - query_tile * kPatternTile) *
           std::min<int64_t>(kPatternTile, keys);
  }
  each_pair(pattern, query_tile, entry, 0, 0, [&](int64_t, int64_t, bool) { ++pairs; });
  return pairs;
}

PatternCost cost(const Pattern& pattern, int64_t batch, int64_t heads, int64_t key_heads, int64_t head_dim,
                 int64_t value_dim, int64_t element_bytes) {
  PatternCost out;
  for (int layout = 0; layout < pattern.layouts(); ++layout) {
    for (int64_t q = 0; q < pattern.query_tiles(); ++q) {
      for (const TileEntry& entry : pattern.row(layout, q)) {
        ++out.tiles;
        out.pairs += visible_pairs(pattern, q, entry);
      }
    }
  }
  const int64_t times = batch * heads / pattern.layouts();
  out.tiles *= times;
  out.pairs *= times;
  const int64_t area = out.tiles * kPatternTile * kPatternTile;
  out.flops_forward = area * 2 * (head_dim + value_dim);
  out.flops_backward = area * 2 * (3 * head_dim + 2 * value_dim);
  out.bytes = batch * element_bytes *
              (heads * pattern.queries() * (head_dim + value_dim) +
               key_heads * (pattern.keys() + pattern.side_keys()) * (head_dim + value_dim));
  return out;
}

}  // namespace longhaul
