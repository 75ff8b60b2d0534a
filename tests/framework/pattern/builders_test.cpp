#include "framework/pattern/builders.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "framework/base/error.h"
#include "framework/pattern/audit.h"
#include "framework/pattern/builder.h"
#include "framework/pattern/picture.h"

namespace longhaul {
namespace {

const std::vector<int64_t> kSizes = {1, 2, 63, 64, 65, 128, 209, 257};

void expect_exact(const Pattern& plan, const std::function<bool(int64_t, int64_t)>& visible) {
  const PatternAudit result = audit(plan, [&](int64_t i, int64_t j, bool) { return visible(i, j) ? 1.0f : 0.0f; });
  EXPECT_TRUE(result.exact) << result.first_difference;
}

TEST(PatternBuilders, DenseAndCausalCoverEachPairOnce) {
  for (const int64_t n : kSizes) {
    expect_exact(pattern::dense(Extent::square(n)), [](int64_t, int64_t) { return true; });
    expect_exact(pattern::causal(Extent::square(n)), [](int64_t i, int64_t j) { return j <= i; });
  }
}

TEST(PatternBuilders, WindowsCoverTheirBandOnce) {
  for (const int64_t n : kSizes) {
    for (const auto& [left, right] : std::vector<std::pair<int64_t, int64_t>>{
             {0, 0}, {1, 0}, {63, 0}, {64, 64}, {100, 7}, {0, 130}, {1000, 1000}}) {
      expect_exact(pattern::sliding_window(Extent::square(n), left, right),
                   [=](int64_t i, int64_t j) { return i - left <= j && j <= i + right; });
    }
  }
}

TEST(PatternBuilders, BlocksStridesAndDilationsCoverTheirPairsOnce) {
  for (const int64_t n : kSizes) {
    for (const int64_t step : {1, 2, 3, 50, 64, 100, 128}) {
      for (const bool causal : {false, true}) {
        expect_exact(pattern::blocks(Extent::square(n), step, causal),
                     [=](int64_t i, int64_t j) { return i / step == j / step && (!causal || j <= i); });
        expect_exact(pattern::strided(Extent::square(n), step, causal),
                     [=](int64_t i, int64_t j) { return (i - j) % step == 0 && (!causal || j <= i); });
      }
      expect_exact(pattern::dilated_window(Extent::square(n), step, 5, 1), [=](int64_t i, int64_t j) {
        return (i - j) % step == 0 && (j - i) / step >= -5 && (j - i) / step <= 1;
      });
    }
  }
}

TEST(PatternBuilders, OffsetsMoveTheQueries) {
  expect_exact(pattern::causal(Extent::decode(7, 300)), [](int64_t i, int64_t j) { return j <= i + 293; });
  expect_exact(pattern::causal({100, 180, 0, -80}), [](int64_t i, int64_t j) { return j - 80 <= i; });
  expect_exact(pattern::sliding_window(Extent::decode(3, 200), 99, 0),
               [](int64_t i, int64_t j) { return j <= i + 197 && j >= i + 98; });
  expect_exact(pattern::blocks({50, 130, 80, 0}, 40, true),
               [](int64_t i, int64_t j) { return (i + 80) / 40 == j / 40 && j <= i + 80; });
}

TEST(PatternBuilders, TileCountsFollowTheFormulas) {
  const int64_t n = 65536, tiles = n / kPatternTile;
  EXPECT_EQ(static_cast<int64_t>(pattern::causal(Extent::square(n)).entries().size()), tiles * (tiles + 1) / 2);
  // 512 visible keys: 8 tiles to the left of the own one, cut off at the start.
  EXPECT_EQ(static_cast<int64_t>(pattern::sliding_window(Extent::square(n), 511, 0).entries().size()), tiles * 9 - 36);
  EXPECT_EQ(static_cast<int64_t>(pattern::blocks(Extent::square(n), 128, false).entries().size()), tiles * 2);
}

TEST(PatternBuilders, OnlyBoundaryTilesArePartial) {
  const Pattern window = pattern::sliding_window(Extent::square(1024), 511, 0);
  for (const TileEntry& entry : window.row(0, 12))
    EXPECT_EQ(window.rule(entry).is_full(), entry.column != 12 && entry.column != 4);
}

TEST(PatternBuilders, ResiduePermutationsNameEachRowOnce) {
  for (const int64_t n : kSizes) {
    for (const int64_t stride : {1, 2, 7, 64, 300}) {
      std::vector<int32_t> rows = pattern::residue_permutation(n, stride).rows;
      EXPECT_EQ(rows.size() % kPatternTile, 0u);
      std::erase(rows, -1);
      std::sort(rows.begin(), rows.end());
      ASSERT_EQ(static_cast<int64_t>(rows.size()), n);
      for (int64_t r = 0; r < n; ++r) EXPECT_EQ(rows[static_cast<size_t>(r)], r);
    }
  }
}

TEST(PatternBuilders, HashesTellPatternsApart) {
  const Extent extent = Extent::square(300);
  const std::vector<Pattern> all = {pattern::dense(extent),
                                    pattern::causal(extent),
                                    pattern::sliding_window(extent, 100, 0),
                                    pattern::sliding_window(extent, 101, 0),
                                    pattern::strided(extent, 3, true),
                                    pattern::within_segments(pattern::causal(extent)),
                                    pattern::causal(Extent::square(301))};
  for (size_t a = 0; a < all.size(); ++a) {
    for (size_t b = 0; b < a; ++b) EXPECT_NE(all[a].hash(), all[b].hash()) << a << " " << b;
  }
  EXPECT_EQ(pattern::causal(extent).hash(), all[1].hash());
}

TEST(PatternBuilders, MultiplicityAndSideKeysAreCounted) {
  PatternBuilder builder(Extent::square(100));
  builder.side_keys(30);
  builder.add(0, 0, 0, {}, std::log(3.0f)).add(0, 1, 1, {});
  TileRule rule;
  rule.terms = kCompress;
  rule.compress = 4;
  builder.add_side(0, 0, 0, rule).add_side(0, 1, 0, rule);
  const PatternAudit result = audit(builder.build(), [](int64_t i, int64_t j, bool side) {
    if (side) return 4 * j <= i ? 1.0f : 0.0f;
    return i / 64 != j / 64 ? 0.0f : i < 64 ? 3.0f : 1.0f;
  });
  EXPECT_TRUE(result.exact) << result.first_difference;
}

TEST(PatternBuilders, AuditNamesTheFirstDifference) {
  const PatternAudit result =
      audit(pattern::causal(Extent::square(70)), [](int64_t i, int64_t j, bool) { return j < i ? 1.0f : 0.0f; });
  EXPECT_FALSE(result.exact);
  EXPECT_EQ(result.first_difference, "query 0, key 0: counted 1, expected 0");
}

TEST(PatternBuilders, RefusesATileListedTwice) {
  PatternBuilder builder(Extent::square(64));
  builder.add(0, 0, 0, {}).add(0, 0, 0, {});
  EXPECT_THROW(builder.build(), InternalError);
}

TEST(PatternBuilders, RefusesNegativeWindows) {
  try {
    pattern::sliding_window(Extent::square(8), -3, 0);
    FAIL();
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "[sliding_window] left = -3 and right = 0: a window is 0 or more tokens on each side\n"
                 "  hint: left = 0 and right = 0 let a token see only itself");
  }
}

TEST(PatternCost, CountsPairsAndProducts) {
  const PatternCost one = cost(pattern::causal(Extent::square(130)), 2, 4, 2, 64, 32, 4);
  EXPECT_EQ(one.tiles, 2 * 4 * 6);
  EXPECT_EQ(one.pairs, 2 * 4 * 130 * 131 / 2);
  EXPECT_EQ(one.flops_forward, one.tiles * 4096 * 2 * 96);
  EXPECT_EQ(one.flops_backward, one.tiles * 4096 * 2 * 256);
  EXPECT_EQ(one.bytes, 2 * 4 * (4 * 130 * 96 + 2 * 130 * 96));
}

TEST(PatternPicture, ShowsEveryTokenOfSmallPatterns) {
  EXPECT_EQ(
      text_picture(pattern::sliding_window(Extent::square(4), 1, 0)),
      "4 queries x 4 keys; 7 pairs visible (43.75 %); 1 tile of 64 x 64 visited, 0 of them full\n#\n##\n ##\n  ##\n");
}

TEST(PatternPicture, ScalesToLongSequences) {
  const std::string text = text_picture(pattern::sliding_window(Extent::square(65536), 511, 0), 0, 32);
  EXPECT_NE(text.find("9180 tiles of 64 x 64 visited"), std::string::npos) << text;
  EXPECT_NE(text.find("a cell is 2048 x 2048 tokens"), std::string::npos);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 33);
  const std::string svg = svg_picture(pattern::causal(Extent::square(65536)));
  EXPECT_EQ(svg.compare(0, 4, "<svg"), 0);
  EXPECT_LT(svg.size(), 200000u);
}

TEST(PatternPicture, ANoteStandsUnderTheCounts) {
  const Pattern pattern = pattern::sliding_window(Extent::square(128), 1, 0);
  std::string note;
  for (int i = 0; i < 50; ++i) note += fmt::format("{}word{}", i == 0 ? "" : " ", i);
  const std::string svg = svg_picture(pattern, note + " a<b&c>d");
  EXPECT_NE(svg.find("255 pairs visible"), std::string::npos);
  EXPECT_NE(svg.find(">3 tiles of 64 x 64 visited, 0 of them full<"), std::string::npos) << svg.substr(0, 400);
  EXPECT_NE(svg.find("a&lt;b&amp;c&gt;d</text>"), std::string::npos);
  // Every word, in lines that fit.
  std::string told;
  for (size_t at = svg.find("<text"); at != std::string::npos; at = svg.find("<text", at + 1)) {
    const size_t begin = svg.find('>', at) + 1;
    const std::string line = svg.substr(begin, svg.find('<', begin) - begin);
    EXPECT_LE(line.size(), 130u);
    told += line + " ";
  }
  EXPECT_NE(told.find(note), std::string::npos);
  EXPECT_NE(svg_picture(pattern).find("keys, left to right"), std::string::npos);
}

}  // namespace
}  // namespace longhaul
