// defines: RelativePanels, add_relative_splits, add_relative
#pragma once
#include "framework/backends/cpu/attention_relative.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

/// The relative term of all query tiles of one head on its way over the key tiles. dS of a tile, skewed, is the
/// gradient of the scores with its two blocks; the lower half waits for the upper half of the next key tile, so that
/// each (query tile, block) costs one product for the query and one for the table.
template <bool kPairs>
struct RelativePanels {
  uint32_t *query = nullptr, *query_pairs = nullptr;            // [tiles][64][words]; see QueryPanels
  float *query_sums = nullptr;                                  // [tiles][64][padded(width)]
  float *key_sums = nullptr, *bias_sums = nullptr;              // [blocks][64][padded(width)], [blocks][64]
  float *kept = nullptr, *waiting = nullptr;                    // [tiles][64][64]: scores, dS
  int64_t *kept_block = nullptr, *waiting_block = nullptr;      // [tiles], -1: none
  uint8_t* finite = nullptr;                                    // [tiles]
  float* block = nullptr;                                       // [64][64]
  uint32_t *rows = nullptr, *pairs = nullptr;                   // [64][32], [32][64]: dS of a block as operands
  float* own_sums = nullptr;                                    // of the query, unless the call keeps them by split
  RelativeScratch scratch;

  void take(const AttentionCall& call, Carver& carver) {
    const int64_t tiles = call.query_tiles, words = words_of<kPairs>(call.relative.width);
    query = carver.take<uint32_t>(tiles * kTile * words);
    query_pairs = kPairs ? carver.take<uint32_t>(tiles * kTile * words) : query;
    if (call.splits == 1) own_sums = carver.take<float>(tiles * kTile * padded(call.relative.width));
    kept = carver.take<float>(tiles * kTile * kTile);
    waiting = carver.take<float>(tiles * kTile * kTile);
    kept_block = carver.take<int64_t>(tiles), waiting_block = carver.take<int64_t>(tiles);
    finite = carver.take<uint8_t>(tiles);
    block = carver.take<float>(kTile * kTile);
    rows = carver.take<uint32_t>(kTile * kTile / 2), pairs = carver.take<uint32_t>(kTile * kTile / 2);
    scratch.bands = carver.take<float>(2 * kTile * kTile);
    scratch.bias = carver.take<float>(2 * kTile);
  }

  void begin(const AttentionCall& call, int64_t b, int64_t h, int split) {
    const RelativeCall& relative = call.relative;
    const int64_t part = (b * call.heads + h) * call.splits + split, words = words_of<kPairs>(relative.width),
                  width = padded(relative.width), all_rows = call.query_tiles * kTile;
    scratch.b = b;
    for (int64_t t = 0; t < call.query_tiles; ++t) {
      kept_block[t] = waiting_block[t] = -1;
      finite[t] = 1;
      if (!relative.query) continue;
      const TileRows at = tile_rows(call.query_info, &call.pattern->query_permutation(), b, h, t, call.query_rows);
      const uint8_t* valid = call.query_info.valid ? call.query_info.valid.at(b, h) : nullptr;
      uint64_t exist = 0;
      for (int r = 0; r < at.count; ++r)
        exist |= static_cast<uint64_t>(at.at(r) >= 0 && (!valid || valid[at.at(r)])) << r;
      finite[t] = !stage<kPairs>(query + t * kTile * words, relative.query, b, h, at, exist, relative.width);
      if constexpr (kPairs) interleave_rows(query + t * kTile * words, words, query_pairs + t * kTile * words);
    }
    query_sums = own_sums ? own_sums : relative.query_sums + part * all_rows * width;
    key_sums = relative.key_sums + part * relative.blocks * kTile * width;
    bias_sums = relative.bias_sums + part * relative.blocks * kTile;
    if (relative.query) {
      std::memset(query_sums, 0, static_cast<size_t>(all_rows * width) * sizeof(float));
      std::memset(key_sums, 0, static_cast<size_t>(relative.blocks * kTile * width) * sizeof(float));
    }
    std::memset(bias_sums, 0, static_cast<size_t>(relative.blocks * kTile) * sizeof(float));
  }

  /// Whether products with whole blocks serve a tile: 0 times a number that is not finite would spread it.
  bool sound(const AttentionCall& call, int64_t h, int64_t t, const RelativeTile& tile) const {
    const uint8_t* of_head = call.relative.finite + h * call.relative.blocks;
    return !call.relative.query || (finite[t] && of_head[tile.up] && of_head[tile.low]);
  }

  /// The gradients that ds [64][64], dS of query tile t by the distances of a block, gives.
  void add_block(const AttentionCall& call, int64_t h, int64_t t, int64_t number, const float* ds) {
    const RelativeCall& relative = call.relative;
    if (relative.bias) {
      float* to = bias_sums + number * kTile;
      for (int v = 0; v < kTile; v += kLanes) {
        Floats sum = load(to + v);
        for (int r = 0; r < kTile; ++r) sum += load(ds + r * kTile + v);
        store(to + v, sum);
      }
    }
    if (!relative.query) return;
    const int64_t words = words_of<kPairs>(relative.width), width = padded(relative.width);
    constexpr int64_t kDepth = kPairs ? kTile / 2 : kTile;
    const uint32_t *by_row = reinterpret_cast<const uint32_t*>(ds), *by_distance = by_row;
    if constexpr (kPairs) {
#if defined(__AVX512BF16__)
      for (int r = 0; r < kTile; r += 2) {
        Floats even[kTileVectors], odd[kTileVectors];
        for (int v = 0; v < kTileVectors; ++v)
          even[v] = load(ds + r * kTile + v * kLanes), odd[v] = load(ds + (r + 1) * kTile + v * kLanes);
        pack_row_pair(even, odd, rows + r * (kTile / 2), pairs + r / 2 * kTile);
      }
#endif
      by_row = rows, by_distance = pairs;
    }
    multiply_tile<kPairs, true>(by_row, kDepth, 1,
                                relative.packed_rows + (h * relative.blocks + number) * words * kTile, width,
                                query_sums + t * kTile * width, width, kTile, width, kDepth);
    multiply_tile<kPairs, true>(by_distance, 1, kTile, query_pairs + t * kTile * words, width,
                                key_sums + number * kTile * width, width, kTile, width, kDepth);
  }

  /// dS of one tile, of its rows in `done`; that of others is zero.
  void add_tile(const AttentionCall& call, int64_t h, int64_t t, const RelativeTile& tile, const float* ds,
                uint64_t done) {
    float *skewed = scratch.bands, *half = waiting + t * kTile * kTile;
    std::memset(skewed, 0, 2 * kTile * kTile * sizeof(float));
    for (; done != 0; done &= done - 1) {
      const int r = __builtin_ctzll(done);
      std::memcpy(skewed + r * 2 * kTile + kTile - 1 - r, ds + r * kTile, kTile * sizeof(float));
    }
    const bool joined = tile.upper && waiting_block[t] == tile.up;
    if (!joined) finish(call, h, t);
    if (tile.upper) {
      for (int r = 0; r < kTile; ++r) {
        for (int v = 0; v < kTile; v += kLanes) {
          const Floats own = load(skewed + r * 2 * kTile + v);
          store(block + r * kTile + v, joined ? own + load(half + r * kTile + v) : own);
        }
      }
      add_block(call, h, t, tile.up, block);
      waiting_block[t] = -1;
    }
    if (tile.lower) {
      for (int r = 0; r < kTile; ++r)
        std::memcpy(half + r * kTile, skewed + (2 * r + 1) * kTile, kTile * sizeof(float));
      waiting_block[t] = tile.low;
    }
  }

  /// The same pair by pair.
  void add_pairs(const AttentionCall& call, int64_t h, int64_t t, const TileFacts& query_facts, const TileFacts& key,
                 const uint64_t* masks, const float* ds) {
    const RelativeCall& relative = call.relative;
    const int64_t width = padded(relative.width);
    for (int r = 0; r < query_facts.rows.count; ++r) {
      for (uint64_t left = masks ? masks[r] : ~uint64_t{0}; left != 0; left &= left - 1) {
        const int c = __builtin_ctzll(left);
        const float g = ds[r * kTile + c];
        const int64_t row = relative.row(int64_t{query_facts.position[r]} - key.position[c]),
                      offset = row + relative.first - relative.origin,
                      at = offset / kTile * kTile + kTile - 1 - offset % kTile;
        bias_sums[at] += g;
        for (int64_t n = 0; relative.query && n < relative.width; ++n) {
          query_sums[(t * kTile + r) * width + n] += g * operand_element(relative.key, 0, h, row, n);
          key_sums[at * width + n] += g * operand_element(relative.query, scratch.b, h, query_facts.rows.at(r), n);
        }
      }
    }
  }

  void finish(const AttentionCall& call, int64_t h, int64_t t) {
    if (waiting_block[t] >= 0) add_block(call, h, t, waiting_block[t], waiting + t * kTile * kTile);
    waiting_block[t] = -1;
  }

  /// After the last key tile.
  void end(const AttentionCall& call, int64_t b, int64_t h) {
    for (int64_t t = 0; t < call.query_tiles; ++t) {
      finish(call, h, t);
      if (!own_sums || !call.relative.dquery) continue;
      const TileRows at = tile_rows(call.query_info, &call.pattern->query_permutation(), b, h, t, call.query_rows);
      for (int r = 0; r < at.count; ++r) {
        if (at.at(r) < 0) continue;
        write_row(call.relative.dquery, b, h, at.at(r), query_sums + (t * kTile + r) * padded(call.relative.width),
                  call.scale, call.relative.width);
      }
    }
  }
};

/// Adds the splits of the gradient of the query of one head in order and writes them.
static void add_relative_splits(const AttentionCall& call, int64_t b, int64_t h) {
  const int64_t width = padded(call.relative.width), rows = call.query_tiles * kTile;
  float* first = call.relative.query_sums + (b * call.heads + h) * call.splits * rows * width;
  for (int64_t t = 0; t < call.query_tiles; ++t) {
    const TileRows at = tile_rows(call.query_info, &call.pattern->query_permutation(), b, h, t, call.query_rows);
    for (int r = 0; r < at.count; ++r) {
      if (at.at(r) < 0) continue;
      float* total = first + (t * kTile + r) * width;
      for (int s = 1; s < call.splits; ++s) {
        for (int64_t c = 0; c < width; c += kLanes)
          store(total + c, load(total + c) + load(total + s * rows * width + c));
      }
      write_row(call.relative.dquery, b, h, at.at(r), total, call.scale, call.relative.width);
    }
  }
}

/// The gradients of the tables of one head: batch entries and splits in order.
static void add_relative(const AttentionCall& call, int64_t h) {
  const RelativeCall& relative = call.relative;
  const int64_t width = padded(relative.width);
  float *key = relative.dkey ? relative.dkey + h * relative.distances * relative.width : nullptr,
        *bias = relative.dbias ? relative.dbias + h * relative.distances : nullptr;
  if (key) std::memset(key, 0, static_cast<size_t>(relative.distances * relative.width) * sizeof(float));
  if (bias) std::memset(bias, 0, static_cast<size_t>(relative.distances) * sizeof(float));
  for (int64_t b = 0; b < call.batch; ++b) {
    for (int s = 0; s < call.splits; ++s) {
      const int64_t part = (b * call.heads + h) * call.splits + s;
      for (int64_t n = 0; n < relative.blocks * kTile; ++n) {
        const int64_t row = relative.row(relative.origin + n / kTile * kTile + kTile - 1 - n % kTile);
        if (bias) bias[row] += relative.bias_sums[part * relative.blocks * kTile + n];
        if (!key) continue;
        const float* from = relative.key_sums + (part * relative.blocks * kTile + n) * width;
        float* to = key + row * relative.width;
        int64_t c = 0;
        for (; c + kLanes <= relative.width; c += kLanes) store(to + c, load(to + c) + load(from + c));
        for (; c < relative.width; ++c) to[c] += from[c];
      }
    }
  }
  for (int64_t c = 0; key && c < relative.distances * relative.width; ++c) key[c] *= call.scale;
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
