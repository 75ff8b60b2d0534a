#include "models/bigbird/pattern.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "framework/base/error.h"
#include "framework/pattern/builder.h"

namespace longhaul::models {
namespace {

int64_t tiles(int64_t rows) { return (rows + kPatternTile - 1) / kPatternTile; }

/// Tiles of the global tokens come first, then those of the blocks.
struct TileLayout {
  explicit TileLayout(const BlockGraph& graph) : global_tiles(tiles(graph.globals)), block_tiles(tiles(graph.block)) {}
  int64_t first(int64_t block) const { return global_tiles + block * block_tiles; }
  int64_t global_tiles, block_tiles;
};

Permutation padded_blocks(const BlockGraph& graph) {
  Permutation out;
  const auto append = [&out](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) out.rows.push_back(static_cast<int32_t>(row));
    while (out.rows.size() % kPatternTile != 0) out.rows.push_back(-1);
  };
  append(0, graph.globals);
  for (int64_t block = 0; block < graph.count(); ++block) {
    const int64_t begin = graph.globals + block * graph.block;
    append(begin, std::min(begin + graph.block, graph.tokens()));
    // A last block with fewer rows still takes the tiles of a block.
    out.rows.resize(static_cast<size_t>(TileLayout(graph).first(block + 1) * kPatternTile), -1);
  }
  return out;
}

/// How often each key block counts for a query block of a head.
std::map<int64_t, int> listed_blocks(const BlockGraph& graph, const RandomBlocks& random, int64_t head, int64_t block) {
  std::map<int64_t, int> out;
  for (const int64_t seen : seen_blocks(graph, block)) out[seen] = 1;
  const int64_t row = block - random.first_row;
  if (row < 0 || row >= random.rows) return out;
  const int32_t* drawn = random.at(head, row);
  for (int64_t slot = 0; slot < random.slots; ++slot) {
    if (drawn[slot] < 0) continue;
    check<ConfigError>(drawn[slot] < graph.count(), "[bigbird] random block {} of query block {}: there are {} blocks",
                       drawn[slot], block, graph.count());
    ++out[drawn[slot]];
  }
  return out;
}

}  // namespace

std::vector<int64_t> seen_blocks(const BlockGraph& graph, int64_t query_block) {
  const int64_t last = graph.count() - 1;
  const bool ends_are_global = graph.globals == 0;
  std::set<int64_t> out;
  if (ends_are_global && (query_block == 0 || query_block == last)) {
    for (int64_t block = 0; block <= last; ++block) out.insert(block);
  } else {
    for (int64_t block = std::max<int64_t>(query_block - 1, 0); block <= std::min(query_block + 1, last); ++block) out.insert(block);
    if (ends_are_global) out.insert({0, last});
  }
  return {out.begin(), out.end()};
}

Pattern bigbird_pattern(const BlockGraph& graph, const RandomBlocks& random) {
  check<ConfigError>(graph.block >= 1 && graph.globals >= 0, "[bigbird] blocks of {} tokens and {} global tokens", graph.block, graph.globals);
  const TileLayout layout(graph);
  PatternBuilder builder(Extent::square(graph.tokens()), static_cast<int>(random.heads));
  if (graph.block % kPatternTile != 0 || graph.globals % kPatternTile != 0) {
    const Permutation permutation = padded_blocks(graph);
    builder.permute_queries(permutation).permute_keys(permutation);
  }
  const int64_t all = builder.key_tiles();
  const auto add_tiles = [&](int head, int64_t query_tile, int64_t first, int64_t count, float logm) {
    for (int64_t tile = first; tile < std::min(first + count, all); ++tile) builder.add(head, query_tile, tile, {}, logm);
  };
  for (int head = 0; head < random.heads; ++head) {
    for (int64_t tile = 0; tile < layout.global_tiles; ++tile) add_tiles(head, tile, 0, all, 0);
    for (int64_t block = 0; block < graph.count(); ++block) {
      const std::map<int64_t, int> listed = listed_blocks(graph, random, head, block);
      for (int64_t tile = layout.first(block); tile < std::min(layout.first(block + 1), all); ++tile) {
        add_tiles(head, tile, 0, layout.global_tiles, 0);
        for (const auto& [key_block, times] : listed)
          add_tiles(head, tile, layout.first(key_block), layout.block_tiles, static_cast<float>(std::log(static_cast<double>(times))));
      }
    }
  }
  return builder.build();
}

}  // namespace longhaul::models
