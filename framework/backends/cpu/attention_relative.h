// defines: RelativeTile, RelativeScratch, relative_scores, add_relative_row, add_relative_pairs, pack_relative
#pragma once
#include "framework/backends/cpu/attention_rows.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

/// Where the relative term of one tile comes from. Tiles of consecutive positions meet 127 distances: with `base` the
/// distance of their first rows, row r and key c meet base + r - c, which lies in the block from base on for c <= r
/// (upper) and in the one before it for c > r (lower). The scores of a query tile with a block are one product; the
/// lower block of a key tile is the upper one of the next (Dai et al. 2019, appendix B, without the shifted table).
/// Elsewhere, pair by pair.
struct RelativeTile {
  bool blocks = false;
  bool upper = false, lower = false;  // which of them hold a visible pair
  int64_t up = 0, low = 0;            // their numbers
  int64_t base = 0;
};

/// Without masks every pair of the tile is visible.
static inline RelativeTile relative_tile(const AttentionCall& call, const TileFacts& query, const TileFacts& key,
                                         const uint64_t* masks) {
  RelativeTile tile;
  tile.blocks = query.straight && key.straight;
  if (!tile.blocks) return tile;
  tile.base = int64_t{query.start} - key.start;
  tile.up = call.relative.block(tile.base), tile.low = call.relative.block(tile.base - kTile);
  tile.upper = tile.lower = masks == nullptr;
  for (int r = 0; masks && r < kTile; ++r) {
    const uint64_t upper = ~uint64_t{0} >> (kTile - 1 - r);
    tile.upper |= (masks[r] & upper) != 0, tile.lower |= (masks[r] & ~upper) != 0;
  }
  return tile;
}

struct RelativeScratch {
  int64_t b = 0;
  float* bands = nullptr;  // [64][128]: upper block, lower block
  float* bias = nullptr;   // [128]: the same distances, over the scale
};

/// Scores of the staged rows of a query tile with both blocks, in scratch.bands; `kept` [64][64] holds those with block
/// `kept_block`.
template <bool kPairs>
static void relative_scores(const AttentionCall& call, int64_t h, const RelativeTile& tile, const uint32_t* query,
                            int rows, float* kept, int64_t& kept_block, const RelativeScratch& scratch) {
  const RelativeCall& relative = call.relative;
  if (!tile.blocks) return;
  if (relative.query) {
    const int64_t words = words_of<kPairs>(relative.width);
    const auto product = [&](int64_t block, float* to) {
      multiply_tile<kPairs, false>(query, words, 1, relative.packed + (h * relative.blocks + block) * words * kTile,
                                   kTile, to, 2 * kTile, rows, kTile, words);
    };
    constexpr size_t kRowBytes = kTile * sizeof(float);
    if (tile.upper && kept_block == tile.up) {
      for (int r = 0; r < rows; ++r) std::memcpy(scratch.bands + r * 2 * kTile, kept + r * kTile, kRowBytes);
    } else if (tile.upper) {
      product(tile.up, scratch.bands);
    }
    if (tile.lower) {
      product(tile.low, scratch.bands + kTile);
      for (int r = 0; r < rows; ++r) std::memcpy(kept + r * kTile, scratch.bands + (2 * r + 1) * kTile, kRowBytes);
      kept_block = tile.low;
    }
  }
  if (relative.bias) {
    for (int t = 0; t < 2 * kTile; ++t) {
      scratch.bias[t] =
          operand_element(relative.bias, 0, h, relative.row(tile.base + kTile - 1 - t), 0) / call.scale;
    }
  }
}

/// The same for one row, pair by pair, for the keys of `mask`.
static void add_relative_pairs(const AttentionCall& call, int64_t b, int64_t h, const TileFacts& query,
                               const TileFacts& key, int row, uint64_t mask, float* scores) {
  const RelativeCall& relative = call.relative;
  alignas(64) int32_t at[kTile];
  for (int c = 0; c < kTile; ++c)
    at[c] = static_cast<int32_t>(relative.row(int64_t{query.position[row]} - key.position[c]));
  if (relative.query) {
    alignas(64) float line[kWidest], add[kTile];
    for (int64_t n = 0; n < relative.width; ++n)
      line[n] = operand_element(relative.query, b, h, query.rows.at(row), n);
    score_keys(line, relative.key, 0, h, {at, 0, kTile}, mask, relative.width, add);
    for (int v = 0; v < kTileVectors; ++v) store(scores + v * kLanes, load(scores + v * kLanes) + load(add + v * kLanes));
  }
  if (relative.bias) {
    for (; mask != 0; mask &= mask - 1) {
      const int c = __builtin_ctzll(mask);
      scores[c] += operand_element(relative.bias, 0, h, at[c], 0) / call.scale;
    }
  }
}

/// Adds the term to the scores of one row, before the scale. Keys outside of `mask` get some number.
LONGHAUL_INLINE void add_relative_row(const AttentionCall& call, int64_t h, const RelativeTile& tile,
                                      const RelativeScratch& scratch, const TileFacts& query, const TileFacts& key,
                                      int row, uint64_t mask, float* scores) {
  if (!tile.blocks) {
    if (mask != 0) add_relative_pairs(call, scratch.b, h, query, key, row, mask, scores);
    return;
  }
  const int first = kTile - 1 - row;
  if (call.relative.query) {
    const float* from = scratch.bands + row * 2 * kTile + first;
    for (int v = 0; v < kTileVectors; ++v)
      store(scores + v * kLanes, load(scores + v * kLanes) + load(from + v * kLanes));
  }
  if (call.relative.bias) {
    for (int v = 0; v < kTileVectors; ++v)
      store(scores + v * kLanes, load(scores + v * kLanes) + load(scratch.bias + first + v * kLanes));
  }
}

/// Packs one block of the table of one head.
template <bool kPairs>
static void pack_relative(const AttentionCall& call, int64_t h, int64_t block, char* scratch) {
  const RelativeCall& relative = call.relative;
  const int64_t words = words_of<kPairs>(relative.width), index = h * relative.blocks + block;
  alignas(64) int32_t at[kTile];
  for (int t = 0; t < kTile; ++t)
    at[t] = static_cast<int32_t>(relative.row(relative.origin + kTile * block + kTile - 1 - t));
  uint32_t* staged = reinterpret_cast<uint32_t*>(scratch);
  relative.finite[index] =
      !stage<kPairs>(staged, relative.key, 0, h, {at, 0, kTile}, ~uint64_t{0}, relative.width);
  transpose_tile(staged, words, relative.packed + index * words * kTile);
  if (!relative.packed_rows) return;
  uint32_t* rows = relative.packed_rows + index * words * kTile;
  if constexpr (kPairs) {
    interleave_rows(staged, words, rows);
  } else {
    std::memcpy(rows, staged, static_cast<size_t>(kTile * words) * sizeof(float));
  }
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
