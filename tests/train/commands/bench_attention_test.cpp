#include "train/commands/bench_attention.h"

#include <gtest/gtest.h>

#include "framework/base/error.h"
#include "framework/pattern/builders.h"

namespace longhaul::cli {
namespace {

TEST(BenchAttention, KnowsThePatternNames) {
  EXPECT_EQ(pattern_by_name("causal", 100, 2).pattern.hash(), pattern::causal(Extent::square(100)).hash());
  EXPECT_EQ(pattern_by_name("dense", 100, 2).pattern.hash(), pattern::dense(Extent::square(100)).hash());
  EXPECT_EQ(pattern_by_name("window:64", 100, 2).pattern.hash(), pattern::sliding_window(Extent::square(100), 63, 0).hash());
  EXPECT_EQ(pattern_by_name("memory:64", 100, 2).pattern.hash(), pattern::causal(Extent::decode(100, 164)).hash());
  EXPECT_FALSE(pattern_by_name("memory:64", 100, 2).relative);
  EXPECT_TRUE(pattern_by_name("relative:64", 100, 2).relative);
  for (const char* wrong : {"window", "window:", "window:0", "window:x", "window:4:4", "relative", "memory:-1", "cusal", "longformer:8", "longformer:7:1",
                            "longformer:8:101", "longformer:8:1:", "bigbird", "bigbird:0"})
    EXPECT_THROW(pattern_by_name(wrong, 100, 2), ConfigError) << wrong;
  EXPECT_EQ(pattern_by_name("longformer:8:3", 100, 2).pattern.side_keys(), 3);
  EXPECT_EQ(pattern_by_name("bigbird:8", 100, 2).pattern.layouts(), 2);
}

TEST(BenchAttention, ReportsWorkMemoryAndRates) {
  const AttentionBenchmark r =
      attention_benchmark(pattern_by_name("causal", 130, 2), 2, 2, 32, DType::kF32, Device::cpu(), 2);
  EXPECT_EQ(r.tiles, 2 * 2 * 6);
  EXPECT_EQ(r.pairs, 2 * 2 * 130 * 131 / 2);
  EXPECT_GT(r.forward_seconds, 0);
  EXPECT_GT(r.backward_seconds, 0);
  EXPECT_NEAR(r.gflops_forward * r.forward_seconds, 24 * 4096 * 128e-9, 1e-9);
  EXPECT_GT(r.peak_gflops_f32, 0);
  EXPECT_GT(r.peak_bytes, 8 * 2 * 2 * 130 * 32 * 4);
}

TEST(BenchAttention, CountsTheRowsOfGlobalTokens) {
  const AttentionBenchmark r =
      attention_benchmark(pattern_by_name("longformer:64:5", 130, 1), 1, 1, 32, DType::kF32, Device::cpu(), 1);
  EXPECT_EQ(r.tiles, 7 + 3 + 3);  // window, side keys of three query tiles, rows of the global tokens
  EXPECT_GT(r.backward_seconds, 0);
}

TEST(BenchAttention, CountsTheProductsOfRelativePositions) {
  const auto rate = [](const char* name, double& forward, double& backward) {
    const AttentionBenchmark r = attention_benchmark(pattern_by_name(name, 130, 2), 1, 2, 32, DType::kBF16, Device::cpu(), 1);
    forward = r.gflops_forward * r.forward_seconds, backward = r.gflops_backward * r.backward_seconds;
  };
  double plain_forward, plain_backward, forward, backward;
  rate("memory:70", plain_forward, plain_backward);
  rate("relative:70", forward, backward);
  EXPECT_NEAR(forward / plain_forward, 3.0 / 2, 1e-6);
  EXPECT_NEAR(backward / plain_backward, 8.0 / 5, 1e-6);
}

}  // namespace
}  // namespace longhaul::cli
