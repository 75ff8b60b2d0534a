// defines: pattern::ChunkOptions, pattern::local_chunks, pattern::sorted_chunks, pattern::with_order, pattern::others
#pragma once
#include "framework/pattern/pattern.h"

namespace longhaul::pattern {

/// Chunks of a sequence that see themselves and their neighbours.
struct ChunkOptions {
  int64_t chunk = 64;             // tokens
  int64_t before = 1, after = 0;  // chunks that a chunk sees besides itself
  bool causal = true;
  bool operator==(const ChunkOptions&) const = default;
};

/// Chunks of tokens in their natural order (Kitaev et al. 2020; Parmar et al. 2018): token i of chunk c = i div chunk
/// sees the chunks c - before .. c + after, and of those, when causal, j <= i. With `ring` the chunks of a two-sided
/// pattern form a ring: chunk 0 also sees the last one. Each key counts once. throws ConfigError for a chunk or a count
/// that cannot be
Pattern local_chunks(const Extent& extent, const ChunkOptions& options, bool ring = false);

/// The same over rows in an order that is data (TokenFacts::rows): tile row s holds the token at slot s of the order,
/// which has chunked_rows(tokens) slots, padding last. The `before` chunks in front of the first slot and the `after`
/// chunks behind the last one are side keys, (before + after) chunk of them, whose positions are data as well. No token
/// sees itself; causality compares positions.
Pattern sorted_chunks(int64_t tokens, const ChunkOptions& options);

/// The tiles of a pattern whose order is data under one order (both sides alike), without its side keys: for pictures.
Pattern with_order(const Pattern& pattern, const Permutation& order);

/// Every token but the query's own; with `causal` those before it.
Pattern others(const Extent& extent, bool causal);

/// Rows of the order: whole chunks.
int64_t chunked_rows(int64_t tokens, int64_t chunk);

}  // namespace longhaul::pattern
