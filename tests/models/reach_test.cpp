// How far tokens reach through layers: boolean products of what every layer sees, of all its heads together.
#include <gtest/gtest.h>

#include <set>

#include "framework/pattern/audit.h"
#include "models/bigbird/model.h"
#include "models/longformer/model.h"

namespace longhaul::models {
namespace {

using Seen = std::vector<std::vector<bool>>;  // [queries][keys]

Seen seen_in(const Pattern& pattern, int64_t length) {
  Seen out(static_cast<size_t>(length), std::vector<bool>(static_cast<size_t>(length)));
  for (int layout = 0; layout < pattern.layouts(); ++layout) {
    const std::vector<float> counts = multiplicities(pattern, layout, 0, layout);
    for (int64_t i = 0; i < length; ++i) {
      for (int64_t j = 0; j < length; ++j) {
        if (counts[static_cast<size_t>(i * length + j)] > 0) out[static_cast<size_t>(i)][static_cast<size_t>(j)] = true;
      }
    }
  }
  return out;
}

Seen after(const Seen& upper, const Seen& lower) {
  Seen out(upper.size(), std::vector<bool>(upper.size()));
  for (size_t i = 0; i < upper.size(); ++i) {
    for (size_t k = 0; k < upper.size(); ++k) {
      for (size_t j = 0; upper[i][k] && j < upper.size(); ++j) out[i][j] = out[i][j] || lower[k][j];
    }
  }
  return out;
}

bool everything(const Seen& seen) {
  for (const auto& row : seen) {
    for (const bool one : row) {
      if (!one) return false;
    }
  }
  return true;
}

LongformerOptions longformer(std::vector<int64_t> window, std::vector<int64_t> dilation, GlobalChoice globals) {
  LongformerOptions out;
  out.body.layers = 3, out.body.heads = 2;
  out.window = std::move(window), out.dilation = std::move(dilation), out.global_tokens = globals;
  return out;
}

Seen layer_of(const LongformerOptions& options, int layer, bool causal, int64_t length) {
  return seen_in(longformer_pattern(Extent::square(length), options.window_of(layer, causal), 0), length);
}

TEST(Reach, WindowsAddUpFromLayerToLayer) {
  constexpr int64_t kLength = 150;
  const auto options = longformer({5, 20, 9}, {}, GlobalChoice::kNone);
  Seen all = layer_of(options, 0, false, kLength);
  for (int layer = 1; layer < 3; ++layer) all = after(layer_of(options, layer, false, kLength), all);
  for (int64_t i = 0; i < kLength; ++i) {
    for (int64_t j = 0; j < kLength; ++j) ASSERT_EQ(all[static_cast<size_t>(i)][static_cast<size_t>(j)], std::abs(i - j) <= 5 + 20 + 9) << i << " " << j;
  }
}

TEST(Reach, OneGlobalTokenJoinsAllInTwoLayers) {
  const auto options = longformer({5}, {}, GlobalChoice::kFirst);
  const Seen one = seen_in(longformer_picture(options, Form::kEncoder, Extent::square(150)), 150);
  EXPECT_FALSE(everything(one));
  EXPECT_TRUE(everything(after(one, one)));
}

TEST(Reach, ADilatedDecoderSeesItsExactPast) {
  constexpr int64_t kLength = 150;
  const auto options = longformer({4, 8, 4}, {1, 1, 1, 3, 2, 5}, GlobalChoice::kNone);
  Seen all = layer_of(options, 0, true, kLength);
  std::set<int64_t> distances;
  for (int layer = 0; layer < 3; ++layer) {
    std::set<int64_t> own, sums;
    for (int head = 0; head < 2; ++head) {
      for (int64_t t = 0; t < options.window[static_cast<size_t>(layer)]; ++t) own.insert(t * options.dilation[static_cast<size_t>(2 * layer + head)]);
    }
    for (const int64_t a : own) {
      for (const int64_t b : layer == 0 ? std::set<int64_t>{0} : distances) sums.insert(a + b);
    }
    distances = sums;
    if (layer > 0) all = after(layer_of(options, layer, true, kLength), all);
  }
  for (int64_t i = 0; i < kLength; ++i) {
    for (int64_t j = 0; j < kLength; ++j) ASSERT_EQ(all[static_cast<size_t>(i)][static_cast<size_t>(j)], distances.contains(i - j)) << i << " " << j;
  }
}

TEST(Reach, BigBirdJoinsAllInTwoLayers) {
  constexpr int64_t kLength = 200;
  BodyOptions body;
  body.heads = 2;
  for (const int64_t extra : {0, 3}) {
    BlockOptions blocks{.block = 8, .random_blocks = 0, .extra_globals = extra, .short_full = false};
    const auto seen = [&](int layer) { return seen_in(block_pattern(blocks, body, layer, Extent::square(kLength + extra), true), kLength + extra); };
    EXPECT_FALSE(everything(seen(0)));
    EXPECT_TRUE(everything(after(seen(1), seen(0))));
  }
}

TEST(Reach, RandomBlocksShortenTheWayWithoutGlobalOnes) {
  // The text alone: rows and columns of the global blocks are left out.
  constexpr int64_t kLength = 160, kBlock = 8;
  BodyOptions body;
  body.heads = 2;
  const auto layers_until_all = [&](int64_t random_blocks) {
    BlockOptions blocks{.block = kBlock, .random_blocks = random_blocks, .short_full = false};
    const auto inner = [&](int layer) {
      Seen out = seen_in(block_pattern(blocks, body, layer, Extent::square(kLength), true), kLength);
      const auto ends = [kBlock, kLength](size_t i) { return i < kBlock || i >= kLength - kBlock; };
      for (size_t i = 0; i < out.size(); ++i) {
        for (size_t j = 0; j < out.size(); ++j) {
          if (ends(i) || ends(j)) out[i][j] = true;
          if (ends(i) != ends(j)) out[i][j] = false;
        }
      }
      return out;
    };
    const auto joined = [&](const Seen& seen) {
      for (size_t i = kBlock; i < kLength - kBlock; ++i) {
        for (size_t j = kBlock; j < kLength - kBlock; ++j) {
          if (!seen[i][j]) return false;
        }
      }
      return true;
    };
    Seen all = inner(0);
    int layers = 1;
    for (; !joined(all) && layers < 60; ++layers) all = after(inner(layers % 3), all);
    return layers;
  };
  EXPECT_EQ(layers_until_all(0), kLength / kBlock - 3);  // one block of the window a layer
  EXPECT_LE(layers_until_all(3), 5);
}

}  // namespace
}  // namespace longhaul::models
