#include "framework/backends/reference/attention_scene.h"

#include <algorithm>

namespace longhaul::reference {

Scene::Scene(const View& query, const View& key, const View& value, const kernels::AttentionOptions& options)
    : batch(query.shape[0]),
      heads(query.shape[1]),
      key_heads(key.shape[1]),
      head_dim(query.shape[3]),
      value_dim(value.shape[3]),
      options_(options),
      pattern_(*options.pattern) {
  if (options.relative.query.present) distances_ = options.relative.key.shape[1];
  if (options.relative.bias.present) distances_ = options.relative.bias.shape[1];
}

int64_t Scene::row_of(const TokenInfo& info, const Permutation& permutation, int64_t b, int64_t h, int64_t tile_row,
                      int64_t rows) const {
  if (info.rows) return info.rows.at(b, h)[tile_row];
  if (permutation.empty()) return tile_row;
  const int64_t entry = permutation.batches > 1 ? b : 0, head = permutation.heads > 1 ? h : 0;
  return permutation.rows[static_cast<size_t>((entry * permutation.heads + head) * rows + tile_row)];
}

double Scene::keep(int64_t b, int64_t h, int64_t i, int64_t j) const {
  const kernels::AttentionDropout& dropout = options_.dropout;
  if (dropout.probability <= 0) return 1;
  const uint64_t width = static_cast<uint64_t>((pattern_.keys() + 3) / 4 * 4 + (pattern_.side_keys() + 3) / 4 * 4);
  const uint64_t plane =
      (dropout.first_row + static_cast<uint64_t>(b)) * static_cast<uint64_t>(heads) + static_cast<uint64_t>(h);
  const uint64_t element =
      (plane * static_cast<uint64_t>(pattern_.queries()) + static_cast<uint64_t>(i)) * width + static_cast<uint64_t>(j);
  return dropout.stream.word(element) >= dropout_threshold(dropout.probability) ? 1 / (1 - dropout.probability) : 0;
}

void Scene::each_query(int64_t b, int64_t h, const std::function<void(int64_t, const std::vector<Seen>&)>& f) const {
  const TokenInfo &qi = options_.query_info, &ki = options_.key_info, &si = options_.side_info;
  const int64_t key_tiles = pattern_.key_tiles();
  const int layout = pattern_.layouts() > 1 ? static_cast<int>(h) : 0;
  const auto value_at = [&](const auto& field, int64_t row, auto otherwise) {
    return field ? field.at(b, h)[row] : otherwise;
  };
  std::vector<Seen> seen;
  for (int64_t r = 0; r < pattern_.query_rows(); ++r) {
    const int64_t i = row_of(qi, pattern_.query_permutation(), b, h, r, pattern_.query_rows());
    if (i < 0) continue;
    seen.clear();
    Pair pair;
    pair.query = value_at(qi.position, i, static_cast<int32_t>(i + pattern_.extent().query_offset));
    pair.query_segment = value_at(qi.segment, i, 0);
    pair.query_bucket = value_at(qi.bucket, i, 0);
    const bool query_valid = value_at(qi.valid, i, uint8_t{1}) != 0;
    for (const TileEntry& entry : pattern_.row(layout, r / kPatternTile)) {
      const TileRule& rule = pattern_.rule(entry);
      const bool side = entry.column >= key_tiles;
      const TokenInfo& info = side ? si : ki;
      const int64_t rows = side ? pattern_.side_keys() : pattern_.key_rows();
      const int64_t first = (side ? entry.column - key_tiles : entry.column) * kPatternTile;
      for (int64_t c = first; c < std::min(first + kPatternTile, rows); ++c) {
        const int64_t j = side ? c : row_of(info, pattern_.key_permutation(), b, h, c, rows);
        if (j < 0 || !query_valid || value_at(info.valid, j, uint8_t{1}) == 0) continue;
        pair.key = value_at(info.position, j,
                            static_cast<int32_t>(j + (side ? pattern_.side_offset() : pattern_.extent().key_offset)));
        pair.key_segment = value_at(info.segment, j, 0);
        pair.key_bucket = value_at(info.bucket, j, 0);
        pair.key_global = value_at(info.global, j, uint8_t{0}) != 0;
        if (rule.terms & kBits)
          pair.bit = pattern_.bit_table(rule.bit_table)[static_cast<size_t>(r % kPatternTile)] >> (c - first) & 1;
        if (rule.terms & kFirstListing) {
          const Listing& listing = ki.listing;
          const int32_t *query_chunk = qi.chunk.at(b, h) + pair.query, *key_chunk = ki.chunk.at(b, h) + pair.key;
          pair.first_listing = !listed_before(listing, query_chunk, key_chunk, side ? listing.round_of_side(c) : listing.round);
        }
        if (!allows(rule, pair)) continue;
        const bool last_resort = rule.self == SelfScore::kLastResort && pair.query == pair.key;
        const int64_t column = side ? (pattern_.keys() + 3) / 4 * 4 + j : j;
        const int64_t distance = std::clamp<int64_t>(pair.query - pair.key - options_.relative.first_distance, 0,
                                                     std::max<int64_t>(distances_ - 1, 0));
        seen.push_back({j, side, entry.logm, last_resort, keep(b, h, i, column), distance});
      }
    }
    f(i, seen);
  }
}

}  // namespace longhaul::reference
