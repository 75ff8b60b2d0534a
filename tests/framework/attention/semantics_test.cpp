#include <gtest/gtest.h>

#include <functional>

#include "framework/backends/cpu/isa.h"
#include "framework/pattern/builder.h"
#include "tests/framework/attention/support.h"

namespace longhaul::testing {
namespace {

Problem problem_of(Pattern pattern, int64_t batch, int64_t heads, int64_t d, uint64_t seed) {
  Problem problem;
  problem.pattern = std::move(pattern);
  problem.batch = batch, problem.heads = problem.key_heads = heads, problem.d = problem.dv = d;
  problem.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(d)));
  problem.fill(seed);
  return problem;
}

/// Runs f on the reference in f64 and on the cpu with both operand types on every instruction set.
void everywhere(const std::function<void(Device, DType)>& f) {
  f(Device::reference(), DType::kF64);
  for (int level = 0; level <= static_cast<int>(cpu::best_isa()); ++level) {
    cpu::force_isa(static_cast<cpu::Isa>(level));
    SCOPED_TRACE(std::string(cpu::name_of(cpu::isa())));
    f(Device::cpu(), DType::kF32);
    f(Device::cpu(), DType::kBF16);
  }
  cpu::force_isa(cpu::best_isa());
}

TEST(AttentionSemantics, NothingAfterATokenReachesIt) {
  const int64_t n = 150, d = 16;
  for (const Pattern& plan : {pattern::causal(Extent::square(n)), pattern::sliding_window(Extent::square(n), 40, 0),
                              pattern::strided(Extent::square(n), 2, true)}) {
    const Problem clean = problem_of(plan, 1, 1, d, 1);
    everywhere([&](Device device, DType dtype) {
      const Results expected = run_attention(clean, device, dtype);
      for (const int64_t t : {0, 5, 63, 64, 70, 148}) {
        for (const double spoil : {3.0, static_cast<double>(NAN)}) {
          Problem spoiled = clean;
          for (size_t e = static_cast<size_t>((t + 1) * d); e < spoiled.key.size(); ++e) {
            spoiled.query[e] = spoiled.key[e] = spoiled.value[e] = spoiled.dout[e] = spoil;
          }
          const Results got = run_attention(spoiled, device, dtype);
          const auto past = [&](const std::vector<double>& of) {
            return std::vector<double>(of.begin(), of.begin() + (t + 1) * d);
          };
          if (std::isnan(spoil)) {
            EXPECT_LT(largest_error(past(got.out), past(expected.out)), 1e-2) << "t " << t;
            EXPECT_LT(largest_error(past(got.dquery), past(expected.dquery)), 1e-2) << "t " << t;
          } else {
            EXPECT_EQ(past(got.out), past(expected.out)) << "t " << t;
            EXPECT_EQ(past(got.dquery), past(expected.dquery)) << "t " << t;
          }
        }
      }
    });
  }
}

TEST(AttentionSemantics, ALaterQueryThatIsNotANumberSpoilsOnlyTheKeysItSees) {
  const int64_t n = 130, d = 16, spoiled_row = 100;
  Problem problem = problem_of(pattern::sliding_window(Extent::square(n), 10, 0), 1, 1, d, 2);
  for (int64_t c = 0; c < d; ++c) problem.query[static_cast<size_t>(spoiled_row * d + c)] = NAN;
  everywhere([&](Device device, DType dtype) {
    const Results got = run_attention(problem, device, dtype);
    for (int64_t j = 0; j < n; ++j) {
      const bool seen = spoiled_row - 10 <= j && j <= spoiled_row;
      EXPECT_EQ(std::isfinite(got.dkey[static_cast<size_t>(j * d)]), !seen) << j;
      EXPECT_EQ(std::isfinite(got.out[static_cast<size_t>(j * d)]), j != spoiled_row) << j;
    }
  });
}

TEST(AttentionSemantics, RowsWithoutKeysAreZeroWithoutGradients) {
  const int64_t n = 100, d = 16;
  Problem problem = problem_of(pattern::dense(Extent::square(n)), 2, 1, d, 3);
  problem.key_valid.assign(2 * n, 1);
  for (int64_t r = 0; r < n; ++r) problem.key_valid[static_cast<size_t>(r)] = 0;  // batch entry 0 has length 0
  for (int64_t c = 0; c < n * d; ++c) problem.key[static_cast<size_t>(c)] = problem.value[static_cast<size_t>(c)] = NAN;
  PatternBuilder builder(Extent::square(n));
  TileRule rule;
  rule.terms = kStrict;
  for (int64_t q = 0; q < 2; ++q) builder.add_range(0, q, 0, q, rule);
  const Problem strict = problem_of(builder.build(), 1, 1, d, 4);
  everywhere([&](Device device, DType dtype) {
    const Results got = run_attention(problem, device, dtype);
    for (int64_t e = 0; e < n * d; ++e) {
      ASSERT_EQ(got.out[static_cast<size_t>(e)], 0) << e;
      ASSERT_EQ(got.dquery[static_cast<size_t>(e)], 0) << e;
      ASSERT_EQ(got.dkey[static_cast<size_t>(e)], 0) << e;
      ASSERT_EQ(got.dvalue[static_cast<size_t>(e)], 0) << e;
    }
    EXPECT_EQ(got.lse[0], -INFINITY);
    EXPECT_TRUE(std::isfinite(got.lse[n]));
    const Results first = run_attention(strict, device, dtype);  // query 0 has no past
    for (int64_t c = 0; c < d; ++c) EXPECT_EQ(first.out[static_cast<size_t>(c)], 0);
    for (int64_t c = 0; c < d; ++c) EXPECT_EQ(first.dquery[static_cast<size_t>(c)], 0);
    EXPECT_EQ(first.lse[0], -INFINITY);
    EXPECT_TRUE(std::isfinite(first.out[static_cast<size_t>(d)]));
  });
}

TEST(AttentionSemantics, PaddingAndBatchMatesDoNotChangeAResult) {
  const int64_t n = 90, d = 16;
  const Problem alone = problem_of(pattern::causal(Extent::square(n)), 1, 1, d, 5);
  for (const int64_t more : {1, 37, 128}) {
    Problem padded = problem_of(pattern::causal(Extent::square(n + more)), 2, 1, d, 6);
    padded.key_valid.assign(static_cast<size_t>(2 * (n + more)), 1);
    for (int64_t r = n; r < n + more; ++r) padded.key_valid[static_cast<size_t>(r)] = 0;
    for (const auto part : {&Problem::query, &Problem::key, &Problem::value, &Problem::dout})
      std::copy((alone.*part).begin(), (alone.*part).end(), (padded.*part).begin());
    std::copy(alone.dlse.begin(), alone.dlse.end(), padded.dlse.begin());
    for (int64_t e = n * d; e < (n + more) * d; ++e) padded.dout[static_cast<size_t>(e)] = 0;
    for (int64_t r = n; r < n + more; ++r) padded.dlse[static_cast<size_t>(r)] = 0;
    everywhere([&](Device device, DType dtype) {
      const Results one = run_attention(alone, device, dtype), two = run_attention(padded, device, dtype);
      for (const auto part : {&Results::out, &Results::dquery, &Results::dkey, &Results::dvalue}) {
        const std::vector<double> front((two.*part).begin(), (two.*part).begin() + n * d);
        EXPECT_LT(largest_error(front, one.*part), dtype == DType::kBF16 ? 1e-2 : 1e-6);
      }
    });
  }
}

TEST(AttentionSemantics, AWindowOfAllTokensIsDenseAttention) {
  const int64_t n = 200;
  const Results dense =
      run_attention(problem_of(pattern::causal(Extent::square(n)), 1, 2, 32, 7), Device::cpu(), DType::kF32);
  const Results window = run_attention(problem_of(pattern::sliding_window(Extent::square(n), n, 0), 1, 2, 32, 7),
                                       Device::cpu(), DType::kF32);
  const Results block =
      run_attention(problem_of(pattern::blocks(Extent::square(n), 256, true), 1, 2, 32, 7), Device::cpu(), DType::kF32);
  const Results stride =
      run_attention(problem_of(pattern::strided(Extent::square(n), 1, true), 1, 2, 32, 7), Device::cpu(), DType::kF32);
  EXPECT_TRUE(same_bits(window, dense));
  EXPECT_TRUE(same_bits(block, dense));
  EXPECT_TRUE(same_bits(stride, dense));
}

TEST(AttentionSemantics, SegmentsSeparateDocuments) {
  const int64_t n = 150;
  Problem problem = problem_of(pattern::within_segments(pattern::causal(Extent::square(n))), 1, 1, 16, 8);
  for (int64_t r = 0; r < n; ++r) problem.query_segment.push_back(static_cast<int32_t>(r / 50));
  problem.key_segment = problem.query_segment;
  const Problem blocks = problem_of(pattern::blocks(Extent::square(n), 50, true), 1, 1, 16, 8);
  everywhere([&](Device device, DType dtype) {
    EXPECT_LT(compare(run_attention(problem, device, dtype), run_attention(blocks, device, dtype)).error,
              dtype == DType::kBF16 ? 1e-2 : 1e-6);
  });
}

/// sum(dout * out) + sum(dlse * lse), whose gradients the backward returns.
double objective(const Problem& problem) {
  const Results results = run_attention(problem, Device::reference(), DType::kF64);
  double total = 0;
  for (size_t n = 0; n < results.out.size(); ++n) total += problem.dout[n] * results.out[n];
  for (size_t n = 0; n < results.lse.size(); ++n) total += problem.dlse[n] * results.lse[n];
  return total;
}

void expect_gradients(
    const Problem& problem,
    const std::vector<std::pair<std::vector<double> Problem::*, std::vector<double> Results::*>>& parts) {
  const Results results = run_attention(problem, Device::reference(), DType::kF64);
  for (const auto& [operand, gradient] : parts) {
    const std::vector<double>& exact = results.*gradient;
    ASSERT_EQ(exact.size(), (problem.*operand).size());
    for (size_t n = 0; n < exact.size(); n += 1 + exact.size() / 23) {
      Problem moved = problem;
      constexpr double kStep = 1e-5;
      (moved.*operand)[n] += kStep;
      const double above = objective(moved);
      (moved.*operand)[n] -= 2 * kStep;
      const double numeric = (above - objective(moved)) / (2 * kStep);
      EXPECT_NEAR(exact[n], numeric, 1e-6 * std::max(1.0, std::abs(numeric))) << "element " << n;
    }
  }
}

TEST(AttentionReference, GradientsEqualFiniteDifferences) {
  Problem problem = problem_of(pattern::causal(Extent::square(70)), 1, 2, 4, 9);
  problem.key_heads = 1;
  problem.dropout = 0.2;
  problem.fill(9);
  expect_gradients(
      problem,
      {{&Problem::query, &Results::dquery}, {&Problem::key, &Results::dkey}, {&Problem::value, &Results::dvalue}});
}

TEST(AttentionReference, GradientsOfSideKeysAndRelativeTermsEqualFiniteDifferences) {
  PatternBuilder builder(Extent{40, 60, 0, -20});
  builder.side_keys(10);
  TileRule rule;
  rule.terms = kCausal;
  builder.add(0, 0, 0, rule, 0.5f).add_side(0, 0, 0, {});
  Problem problem = problem_of(builder.build(), 1, 1, 4, 10);
  problem.dr = 3, problem.distances = 30, problem.first_distance = 0;  // distances beyond 29 use the last entry
  problem.fill(10);
  expect_gradients(problem, {{&Problem::query, &Results::dquery},
                             {&Problem::key, &Results::dkey},
                             {&Problem::side_key, &Results::dside_key},
                             {&Problem::side_value, &Results::dside_value},
                             {&Problem::relative_query, &Results::drelative_query},
                             {&Problem::relative_key, &Results::drelative_key},
                             {&Problem::relative_bias, &Results::drelative_bias}});
}

TEST(AttentionWorkspace, GrowsLinearlyWithTheSequence) {
  const auto bytes = [](int64_t n, bool backward) {
    kernels::AttentionShape shape;
    shape.heads = shape.key_heads = 8, shape.queries = shape.keys = n;
    return static_cast<double>(kernels::attention_workspace_bytes(shape, backward, 2));
  };
  EXPECT_EQ(bytes(65536, false), bytes(32768, false));
  EXPECT_NEAR(bytes(65536, true) / bytes(32768, true), 2, 0.05);
}

}  // namespace
}  // namespace longhaul::testing
