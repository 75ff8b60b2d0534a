// defines: multiplicities, PatternAudit, audit, PatternCost, cost, visible_pairs
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "framework/pattern/pattern.h"

namespace longhaul {

/// How often every pair is seen, decoded from tiles, rules and permutations: [queries][keys + side keys] of one layout
/// and one batch entry and head of the permutations. Terms that look at token facts (segments, buckets, globals) count
/// as true. For tests and small pictures: this is the only place where something of size N x N exists.
std::vector<float> multiplicities(const Pattern& pattern, int layout = 0, int64_t batch = 0, int64_t head = 0);

struct PatternAudit {
  bool exact = true;
  std::string first_difference;  // "query 3, key 7 (side): counted 2, expected 1"
};
/// Compares every pair with what `expected(query row, key row, side)` says; also checks that the transposed lists agree
/// with the rows and that no tensor row appears twice in a permutation.
PatternAudit audit(const Pattern& pattern, const std::function<float(int64_t, int64_t, bool)>& expected,
                   int layout = 0);

/// What the planner, the benchmark and the picture print, for one call.
struct PatternCost {
  int64_t tiles = 0;           // visited, over batch and heads
  int64_t pairs = 0;           // visible, without token facts, over batch and heads
  int64_t flops_forward = 0;   // two products of every visited tile
  int64_t flops_backward = 0;  // five
  int64_t bytes = 0;           // operands read and results written once, forward
};
PatternCost cost(const Pattern& pattern, int64_t batch, int64_t heads, int64_t key_heads, int64_t head_dim,
                 int64_t value_dim, int64_t element_bytes);

/// Visible pairs of one listed tile; exact for terms on positions.
int64_t visible_pairs(const Pattern& pattern, int64_t query_tile, const TileEntry& entry);

}  // namespace longhaul
