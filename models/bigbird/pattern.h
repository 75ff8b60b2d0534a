// defines: BlockGraph, seen_blocks, bigbird_pattern
#pragma once
#include <vector>

#include "framework/pattern/pattern.h"
#include "models/bigbird/random_blocks.h"

namespace longhaul::models {

/// The blocks of a sequence and who sees whom without random blocks (Zaheer et al. 2020, section 2):
///
///   globals = 0 (ITC)   the first and the last block see all and are seen by all
///   globals = g (ETC)   g tokens stand before the blocks; they see all and are seen by all, no block is global
///
/// and every block sees itself and its neighbours. A last block that the sequence does not fill is the last block all the same.
struct BlockGraph {
  int64_t length = 0;  // tokens, globals not counted
  int64_t block = 64;
  int64_t globals = 0;

  int64_t count() const { return (length + block - 1) / block; }
  int64_t tokens() const { return globals + length; }
};

/// Key blocks that a query block sees without random ones, ascending.
std::vector<int64_t> seen_blocks(const BlockGraph& graph, int64_t query_block);

/// The blocks and their random keys as tiles. A key block that is listed m times counts m times (logm = ln m). Blocks (and the
/// global tokens) that do not fill whole tiles are padded to them by a permutation. `random.heads` layouts.
/// throws ConfigError when a random block does not exist
Pattern bigbird_pattern(const BlockGraph& graph, const RandomBlocks& random);

}  // namespace longhaul::models
