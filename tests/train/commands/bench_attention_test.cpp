#include "train/commands/bench_attention.h"

#include <gtest/gtest.h>

#include "framework/base/error.h"
#include "framework/pattern/builders.h"

namespace longhaul::cli {
namespace {

TEST(BenchAttention, KnowsThePatternNames) {
  EXPECT_EQ(pattern_by_name("causal", 100).hash(), pattern::causal(Extent::square(100)).hash());
  EXPECT_EQ(pattern_by_name("dense", 100).hash(), pattern::dense(Extent::square(100)).hash());
  EXPECT_EQ(pattern_by_name("window:64", 100).hash(), pattern::sliding_window(Extent::square(100), 63, 0).hash());
  for (const char* wrong : {"window", "window:", "window:0", "window:x", "cusal"})
    EXPECT_THROW(pattern_by_name(wrong, 100), ConfigError) << wrong;
}

TEST(BenchAttention, ReportsWorkMemoryAndRates) {
  const AttentionBenchmark r =
      attention_benchmark(pattern_by_name("causal", 130), 2, 2, 32, DType::kF32, Device::cpu(), 2);
  EXPECT_EQ(r.tiles, 2 * 2 * 6);
  EXPECT_EQ(r.pairs, 2 * 2 * 130 * 131 / 2);
  EXPECT_GT(r.forward_seconds, 0);
  EXPECT_GT(r.backward_seconds, 0);
  EXPECT_NEAR(r.gflops_forward * r.forward_seconds, 24 * 4096 * 128e-9, 1e-9);
  EXPECT_GT(r.peak_gflops_f32, 0);
  EXPECT_GT(r.peak_bytes, 8 * 2 * 2 * 130 * 32 * 4);
}

}  // namespace
}  // namespace longhaul::cli
