#include "models/longformer/pattern.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

#include "framework/base/error.h"
#include "framework/pattern/audit.h"
#include "framework/pattern/builders.h"
#include "models/longformer/model.h"

namespace longhaul::models {
namespace {

const std::vector<int64_t> kSizes = {0, 1, 2, 64, 65, 209};

/// Every (query, key) pair of every head against the definition, and every query sees all side keys.
void expect_windows(const Extent& extent, const LongformerWindow& window, int64_t side_keys) {
  const Pattern pattern = longformer_pattern(extent, window, side_keys);
  for (int layout = 0; layout < pattern.layouts(); ++layout) {
    const int64_t step = window.dilation.empty() ? 1 : window.dilation[pattern.layouts() == 1 ? 0 : static_cast<size_t>(layout)];
    const std::vector<float> counts = multiplicities(pattern, layout, 0, layout);
    const int64_t width = extent.keys + side_keys;
    for (int64_t i = 0; i < extent.queries; ++i) {
      for (int64_t j = 0; j < width; ++j) {
        const int64_t distance = j + extent.key_offset - i - extent.query_offset;
        const bool near = floor_mod(distance, step) == 0 && floor_div(distance, step) >= -window.left && floor_div(distance, step) <= window.right;
        ASSERT_EQ(counts[static_cast<size_t>(i * width + j)], j >= extent.keys || near ? 1.0f : 0.0f)
            << extent.keys << " tokens, head " << layout << ", query " << i << ", key " << j;
      }
    }
  }
}

TEST(LongformerPattern, EveryHeadSeesItsWindowOnceAndAllSideKeys) {
  for (const int64_t n : kSizes) {
    for (const int64_t side : {0, 70}) {
      for (const int64_t left : {0, 1, 31, 1000}) {
        expect_windows(Extent::square(n), {left, left, {}}, side);
        expect_windows(Extent::square(n), {left, 0, {2}}, side);
        expect_windows(Extent::square(n), {left, left, {1, 3, 2}}, side);
      }
    }
  }
}

TEST(LongformerPattern, WiderThanTheSequenceIsAsWideAsIt) {
  constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();
  for (const int64_t n : {1, 65, 209}) {
    EXPECT_EQ(longformer_pattern(Extent::square(n), {kHuge, kHuge, {}}, 0).hash(), longformer_pattern(Extent::square(n), {n, n, {}}, 0).hash());
    expect_windows(Extent::square(n), {3'000'000'000, 3'000'000'000, {}}, 0);
    expect_windows(Extent::square(n), {1'000, 1'000, {1, 3'000'000'000, 2}}, 0);
  }
}

TEST(LongformerPattern, APictureShowsGlobalTokensBesideADilatedWindow) {
  LongformerOptions options;
  options.body.layers = 1, options.body.heads = 2;
  options.window = {4}, options.dilation = {3, 1}, options.global_tokens = GlobalChoice::kList, options.global_positions = {70};
  constexpr int64_t kLength = 150;
  const Pattern picture = longformer_picture(options, Form::kEncoder, Extent::square(kLength));
  const std::vector<float> counts = multiplicities(picture);
  for (int64_t i = 0; i < kLength; ++i) {
    for (int64_t j = 0; j < kLength; ++j) {
      const bool near = std::abs(i - j) <= 12 && (i - j) % 3 == 0;
      ASSERT_EQ(counts[static_cast<size_t>(i * kLength + j)], near || i == 70 || j == 70 ? 1.0f : 0.0f) << i << " " << j;
    }
  }
}

TEST(LongformerPattern, DecodingSeesWhatTheWholeSequenceSees) {
  for (const int64_t total : {1, 7, 64, 130}) {
    for (const int64_t queries : {int64_t{1}, std::min<int64_t>(total, 5)}) expect_windows(Extent::decode(queries, total), {20, 0, {1, 3}}, 0);
  }
}

TEST(LongformerPattern, LayoutsAsWritten) {
  // Window part of local rows for w = 2 and N = 16 in tiles of 64: one partial tile; the band has 5 + 2 (3 + 4) pairs fewer.
  const Pattern small = longformer_pattern(Extent::square(16), {2, 2, {}}, 2);
  ASSERT_EQ(small.row(0, 0).size(), 2u);
  EXPECT_EQ(visible_pairs(small, 0, small.row(0, 0)[0]), 16 * 5 - 2 * (1 + 2));
  // Nothing outside of window and side is listed.
  const Pattern large = longformer_pattern(Extent::square(4096), {256, 256, {}}, 64);
  for (int64_t q = 0; q < large.query_tiles(); ++q) {
    const int64_t columns = std::min<int64_t>(q + 4, 63) - std::max<int64_t>(q - 4, 0) + 1;
    EXPECT_EQ(large.row(0, q).size(), static_cast<size_t>(columns + 1));
  }
  // A dilated head visits as many tiles as one that is not, the ends of the classes aside.
  const Pattern dilated = longformer_pattern(Extent::square(4096), {256, 256, {1, 4}}, 0);
  int64_t tiles[2] = {0, 0};
  for (int head = 0; head < 2; ++head) {
    for (int64_t q = 0; q < dilated.query_tiles(); ++q) tiles[head] += static_cast<int64_t>(dilated.row(head, q).size());
  }
  EXPECT_LE(tiles[1], tiles[0]);
}

TEST(LongformerPattern, ImpossibleWindowsAreNamed) {
  const auto message = [](const LongformerWindow& window) {
    try {
      longformer_pattern(Extent::square(8), window, 0);
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(message({-1, 2, {}}), "[longformer] a window of -1 tokens before and 2 after: both are 0 or more");
  EXPECT_EQ(message({1, 2, {1, 0}}), "[longformer] a dilation of 0: it is 1 or more");
}

}  // namespace
}  // namespace longhaul::models
