#include "models/bigbird/pattern.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "framework/base/error.h"
#include "framework/pattern/audit.h"

namespace longhaul::models {
namespace {

/// How often a pair counts, straight from the definition.
float times(const BlockGraph& graph, const RandomBlocks& random, int64_t head, int64_t i, int64_t j) {
  if (i < graph.globals || j < graph.globals) return 1;
  const int64_t query = (i - graph.globals) / graph.block, key = (j - graph.globals) / graph.block, last = graph.count() - 1;
  const bool ends = graph.globals == 0;
  if (ends && (query == 0 || query == last)) return 1;
  float out = std::abs(query - key) <= 1 || (ends && (key == 0 || key == last)) ? 1 : 0;
  const int64_t row = query - random.first_row;
  if (row >= 0 && row < random.rows) out += static_cast<float>(std::count(random.at(head, row), random.at(head, row) + random.slots, static_cast<int32_t>(key)));
  return out;
}

void expect_exact(const BlockGraph& graph, const RandomBlocks& random) {
  const Pattern pattern = bigbird_pattern(graph, random);
  ASSERT_EQ(pattern.layouts(), random.heads);
  for (int head = 0; head < random.heads; ++head) {
    const PatternAudit result = audit(pattern, [&](int64_t i, int64_t j, bool) { return times(graph, random, head, i, j); }, head);
    EXPECT_TRUE(result.exact) << graph.length << " tokens in blocks of " << graph.block << ", " << graph.globals << " globals, head " << head << ": " << result.first_difference;
  }
}

RandomBlocks drawn(const BlockGraph& graph, int64_t heads, int64_t slots) {
  const RandomBlockShape shape{graph.length, graph.block, slots, heads};
  const int64_t first = graph.globals > 0 ? 0 : 1;
  return counter_random_blocks(shape, first, std::max<int64_t>(graph.count() - 2 * first, 0), 3, 1, [&](int64_t row) { return seen_blocks(graph, row); });
}

TEST(BigBirdPattern, EveryPairCountsAsOftenAsItIsListed) {
  for (const int64_t block : {8, 20, 64, 128}) {
    for (const int64_t blocks : {1, 2, 4, 5, 9}) {
      for (const int64_t missing : {int64_t{0}, int64_t{1}, block - 1}) {
        for (const int64_t globals : {0, 5, 64, 70}) {
          const BlockGraph graph{blocks * block - missing, block, globals};
          if (graph.length == 0 || graph.tokens() > 400) continue;
          expect_exact(graph, drawn(graph, 2, 2));
        }
      }
    }
  }
  expect_exact({0, 8, 0}, {});
}

TEST(BigBirdPattern, RepeatedBlocksCountAgain) {
  const BlockGraph graph{8 * 11, 8, 0};
  expect_exact(graph, first_block_lists({graph.length, 8, 3, 1}));  // block 0 counts 1 + 3 times
  expect_exact({1024, 64, 0}, public_random_blocks({.length = 1024, .block = 64, .slots = 3, .heads = 2}, 2048, 0));
}

TEST(BigBirdPattern, RowsAreThoseOfThePaper) {
  // nb = 8, r = 0, whole tiles: appendix C of the specification.
  const BlockGraph graph{8 * 64, 64, 0};
  const Pattern pattern = bigbird_pattern(graph, {});
  const std::vector<std::vector<int32_t>> rows = {{0, 1, 2, 3, 4, 5, 6, 7}, {0, 1, 2, 7}, {0, 1, 2, 3, 7}, {0, 2, 3, 4, 7}, {0, 3, 4, 5, 7}, {0, 4, 5, 6, 7}, {0, 5, 6, 7}, {0, 1, 2, 3, 4, 5, 6, 7}};
  for (size_t q = 0; q < rows.size(); ++q) {
    std::vector<int32_t> columns;
    for (const TileEntry& entry : pattern.row(0, static_cast<int64_t>(q))) {
      columns.push_back(entry.column);
      EXPECT_EQ(entry.rule, 0);
      EXPECT_EQ(entry.logm, 0);
    }
    EXPECT_EQ(columns, rows[q]);
  }
}

TEST(BigBirdPattern, TilesEqualTheFormula) {
  // 2 nb + (nb - 2)(5 + r) - 2 tiles a head: 622 of 4096 for 4096 tokens.
  for (const int64_t blocks : {13, 32, 64}) {
    const BlockGraph graph{blocks * 64, 64, 0};
    const Pattern pattern = bigbird_pattern(graph, drawn(graph, 2, 3));
    EXPECT_EQ(static_cast<int64_t>(pattern.entries().size()), 2 * (2 * blocks + (blocks - 2) * 8 - 2)) << blocks;
  }
}

TEST(BigBirdPattern, FewBlocksSeeEverything) {
  for (const int64_t blocks : {1, 2, 3, 4, 5}) {
    const Pattern pattern = bigbird_pattern({blocks * 8, 8, 0}, {});
    const std::vector<float> counts = multiplicities(pattern);
    EXPECT_EQ(std::ranges::all_of(counts, [](float count) { return count == 1; }), blocks <= 4) << blocks;  // 1 and 3 of 5 miss each other
  }
}

TEST(BigBirdPattern, UnknownBlocksAreNamed) {
  RandomBlocks random = first_block_lists({48, 8, 1, 1});
  random.blocks[1] = 6;
  try {
    bigbird_pattern({48, 8, 0}, random);
    FAIL() << "block 6 of 6 was listed";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(), "[bigbird] random block 6 of query block 2: there are 6 blocks");
  }
}

}  // namespace
}  // namespace longhaul::models
