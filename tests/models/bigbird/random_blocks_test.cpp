#include "models/bigbird/random_blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "framework/base/error.h"
#include "models/bigbird/numpy_random.h"
#include "models/bigbird/pattern.h"

namespace longhaul::models {
namespace {

TEST(NumpyRandom, EqualsTheLegacyGenerator) {
  for (const auto& [seed, expected] : std::vector<std::pair<uint32_t, std::vector<uint32_t>>>{{0, {2357136044u, 2546248239u, 3071714933u, 3626093760u}}, {1, {1791095845u, 4282876139u, 3093770124u, 4005303368u}}}) {
    NumpyRandom random(seed);
    for (const uint32_t value : expected) EXPECT_EQ(random.next(), value);
  }
  std::vector<int32_t> ten(10);
  std::iota(ten.begin(), ten.end(), 0);
  EXPECT_EQ(NumpyRandom(0).permutation(ten), (std::vector<int32_t>{2, 8, 4, 9, 1, 6, 7, 3, 0, 5}));
  EXPECT_EQ(NumpyRandom(42).permutation(ten), (std::vector<int32_t>{8, 1, 5, 0, 7, 2, 9, 4, 3, 6}));
}

/// FNV-1a over the little-endian numbers, in the order head, row, slot.
uint64_t hash_of(const RandomBlocks& table) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const int32_t block : table.blocks) {
    for (int byte = 0; byte < 4; ++byte) hash = (hash ^ (static_cast<uint32_t>(block) >> (8 * byte) & 0xffu)) * 0x100000001b3u;
  }
  return hash;
}

TEST(PublicRandomBlocks, EqualTheGoldenTables) {
  struct Golden {
    int64_t length;
    int layer;
    size_t count;
    int64_t sum;
    uint64_t hash;
    std::vector<int32_t> first, last;  // head 0, rows 1 to 3; head 11, last row
  };
  const std::vector<Golden> all = {
      {4096, 0, 2232, 17877, 0xf49df4c17d1649c2u, {9, 14, 7, 9, 6, 7, 10, 5, 14}, {3, 5, 7}},
      {4096, 1, 2232, 17798, 0xadec79282b92423fu, {5, 6, 7, 5, 11, 4, 15, 9, 7}, {10, 4, 8}},
      {4096, 11, 2232, 17680, 0xfb46a805abcb68a5u, {9, 6, 11, 14, 11, 10, 14, 8, 5}, {14, 3, 12}},
      {1024, 0, 504, 3975, 0x3436730eb3b8bf3cu, {9, 14, 7, 9, 6, 7, 10, 5, 14}, {}},
      {1024, 1, 504, 3990, 0x706edd1b8761afc3u, {5, 6, 7, 5, 11, 4, 15, 9, 7}, {}},
      {1024, 11, 504, 3917, 0xc6eb5660c7f700fau, {9, 6, 11, 14, 11, 10, 14, 8, 5}, {}},
      {2048, 0, 1080, 5473, 0x8dd78ebd74420762u, {4, 6, 7, 4, 8, 5, 8, 1, 5}, {5, 3, 8}},
      {2048, 1, 1080, 5344, 0x42c89b4f3fb6c699u, {3, 4, 6, 6, 4, 5, 6, 5, 1}, {8, 4, 1}},
      {2048, 11, 1080, 5398, 0x152b39f0256c4af5u, {6, 3, 8, 8, 6, 9, 6, 7, 9}, {3, 1, 8}},
  };
  for (const Golden& golden : all) {
    SCOPED_TRACE(std::to_string(golden.length) + " tokens, layer " + std::to_string(golden.layer));
    const RandomBlocks table = public_random_blocks({.length = golden.length, .block = 64, .slots = 3, .heads = 12}, 4096, golden.layer);
    EXPECT_EQ(table.blocks.size(), golden.count);
    EXPECT_EQ(std::accumulate(table.blocks.begin(), table.blocks.end(), int64_t{0}), golden.sum);
    EXPECT_EQ(hash_of(table), golden.hash);
    EXPECT_EQ(std::vector<int32_t>(table.blocks.begin(), table.blocks.begin() + 9), golden.first);
    if (!golden.last.empty()) {
      EXPECT_EQ(std::vector<int32_t>(table.blocks.end() - 3, table.blocks.end()), golden.last);
    }
  }
}

TEST(PublicRandomBlocks, AFilledLastBlockDecidesTheTable) {
  const auto table = [](int64_t length) { return public_random_blocks({.length = length, .block = 64, .slots = 3, .heads = 2}, 4096, 0).blocks; };
  EXPECT_EQ(table(4033), table(4096));
  EXPECT_NE(table(4032), table(4096));
}

TEST(PublicRandomBlocks, RepeatOnlyWhereThePublicTableDoes) {
  // Blocks that the row sees anyway: 38 of 504 slots at 1024 tokens (all of them the last block), none elsewhere.
  for (const auto& [length, expected] : std::vector<std::pair<int64_t, int>>{{1024, 38}, {3072, 0}, {4096, 0}, {768, 0}, {832, 0}, {2048, 0}}) {
    const RandomBlockShape shape{.length = length, .block = 64, .slots = 3, .heads = 12};
    const RandomBlocks table = public_random_blocks(shape, 4096, 0);
    const BlockGraph graph{length, 64, 0};
    int repeated = 0;
    for (int64_t head = 0; head < 12; ++head) {
      for (int64_t row = 0; row < table.rows; ++row) {
        const std::vector<int64_t> seen = seen_blocks(graph, row + 1);
        for (int64_t slot = 0; slot < 3; ++slot) repeated += std::ranges::count(seen, table.at(head, row)[slot]) > 0;
      }
    }
    EXPECT_EQ(repeated, expected) << length;
  }
}

TEST(PublicRandomBlocks, TooFewCandidatesAreNamed) {
  try {
    public_random_blocks({.length = 40, .block = 8, .slots = 3, .heads = 1}, 64, 0);
    FAIL() << "a table of 5 blocks was drawn";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(), "[bigbird] 40 tokens in blocks of 8: block 1 has 0 candidates for 3 random blocks\n  hint: fewer model.random_blocks, or model.random: counter");
  }
}

TEST(CounterRandomBlocks, AreDistinctNewAndAFunctionOfLayerHeadAndRow) {
  const RandomBlockShape shape{.length = 64 * 40, .block = 64, .slots = 3, .heads = 4};
  const BlockGraph graph{shape.length, 64, 0};
  const auto seen = [&](int64_t row) { return seen_blocks(graph, row); };
  const RandomBlocks table = counter_random_blocks(shape, 1, 38, 7, 2, seen);
  std::vector<int> drawn(40, 0);
  for (int64_t head = 0; head < 4; ++head) {
    for (int64_t row = 0; row < 38; ++row) {
      std::set<int64_t> all;
      for (const int64_t block : seen(row + 1)) all.insert(block);
      const size_t before = all.size();
      for (int64_t slot = 0; slot < 3; ++slot) {
        all.insert(table.at(head, row)[slot]);
        ++drawn[static_cast<size_t>(table.at(head, row)[slot])];
      }
      EXPECT_EQ(all.size(), before + 3);
    }
  }
  for (int64_t block = 1; block < 39; ++block) EXPECT_GT(drawn[static_cast<size_t>(block)], 0) << "block " << block << " is never drawn";
  EXPECT_NE(counter_random_blocks(shape, 1, 38, 7, 3, seen).blocks, table.blocks);
  EXPECT_NE(counter_random_blocks(shape, 1, 38, 8, 2, seen).blocks, table.blocks);
  EXPECT_EQ(counter_random_blocks(shape, 1, 38, 7, 2, seen).blocks, table.blocks);
  // Fewer heads draw what the first heads of more draw.
  RandomBlockShape fewer = shape;
  fewer.heads = 2;
  const RandomBlocks half = counter_random_blocks(fewer, 1, 38, 7, 2, seen);
  EXPECT_TRUE(std::equal(half.blocks.begin(), half.blocks.end(), table.blocks.begin()));
}

TEST(CounterRandomBlocks, RowsWithFewBlocksLeftTakeThemAll) {
  const RandomBlockShape shape{.length = 6 * 8, .block = 8, .slots = 3, .heads = 1};
  const RandomBlocks table = counter_random_blocks(shape, 1, 4, 0, 0, [](int64_t row) { return seen_blocks({48, 8, 0}, row); });
  EXPECT_EQ(std::vector<int32_t>(table.at(0, 1), table.at(0, 1) + 3), (std::vector<int32_t>{4, -1, -1}));
}

}  // namespace
}  // namespace longhaul::models
