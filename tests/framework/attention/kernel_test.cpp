#include <gtest/gtest.h>

#include "framework/backends/cpu/isa.h"
#include "framework/pattern/builder.h"
#include "tests/framework/attention/support.h"

namespace longhaul::testing {
namespace {

/// The reference in f64 on the same numbers.
Results oracle(const Problem& problem) { return run_attention(problem, Device::reference(), DType::kF64); }

/// Runs f on every instruction set that this machine has.
template <typename F>
void each_isa(F f) {
  for (int level = 0; level <= static_cast<int>(cpu::best_isa()); ++level) {
    cpu::force_isa(static_cast<cpu::Isa>(level));
    SCOPED_TRACE(std::string(cpu::name_of(cpu::isa())));
    f();
  }
  cpu::force_isa(cpu::best_isa());
}

void expect_near_oracle(const Problem& problem, const char* name, double bf16_tolerance = 2e-2) {
  SCOPED_TRACE(name);
  const Results expected = oracle(problem);
  Problem rounded = problem;
  round_to_bf16(rounded);
  const Results expected_rounded = oracle(rounded);
  each_isa([&] {
    const Worst f32 = compare(run_attention(problem, Device::cpu(), DType::kF32), expected);
    EXPECT_LT(f32.error, 2e-5) << "f32 " << f32.of;
    const Worst bf16 = compare(run_attention(rounded, Device::cpu(), DType::kBF16), expected_rounded);
    EXPECT_LT(bf16.error, bf16_tolerance) << "bf16 " << bf16.of;
  });
}

Problem problem_of(Pattern pattern, int64_t batch, int64_t heads, int64_t key_heads, int64_t d, int64_t dv,
                   uint64_t seed) {
  Problem problem;
  problem.pattern = std::move(pattern);
  problem.batch = batch, problem.heads = heads, problem.key_heads = key_heads, problem.d = d, problem.dv = dv;
  problem.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(d)));
  problem.fill(seed);
  return problem;
}

TEST(AttentionKernel, EqualsTheReferenceForCausalAttentionOfEveryLength) {
  for (const int64_t n : {1, 2, 17, 63, 64, 65, 128, 209, 257}) {
    expect_near_oracle(problem_of(pattern::causal(Extent::square(n)), 2, 3, 3, 64, 64, 10),
                       ("n = " + std::to_string(n)).c_str());
  }
}

TEST(AttentionKernel, EqualsTheReferenceForEveryHeadWidth) {
  for (const int64_t d : {8, 16, 24, 32, 48, 80, 96, 128, 256}) {
    expect_near_oracle(problem_of(pattern::causal(Extent::square(150)), 1, 2, 2, d, d, 20),
                       ("d = " + std::to_string(d)).c_str());
  }
  expect_near_oracle(problem_of(pattern::causal(Extent::square(150)), 1, 2, 2, 64, 24, 21), "value narrower");
  expect_near_oracle(problem_of(pattern::causal(Extent::square(150)), 1, 2, 2, 16, 128, 22), "value wider");
  expect_near_oracle(problem_of(pattern::causal(Extent::square(100)), 1, 2, 2, 5, 3, 23), "odd widths");
}

TEST(AttentionKernel, EqualsTheReferenceForEveryClosedFormPattern) {
  const Extent square = Extent::square(300);
  const std::vector<std::pair<const char*, Pattern>> patterns = {
      {"dense", pattern::dense(square)},
      {"window 100 left", pattern::sliding_window(square, 100, 0)},
      {"window 70 left 33 right", pattern::sliding_window(square, 70, 33)},
      {"blocks of 50", pattern::blocks(square, 50, true)},
      {"blocks of 128, two-sided", pattern::blocks(square, 128, false)},
      {"stride 3", pattern::strided(square, 3, true)},
      {"dilation 2", pattern::dilated_window(square, 2, 40, 5)},
      {"fewer queries than keys", pattern::causal(Extent::decode(70, 300))},
      {"memory in front", pattern::causal({150, 250, 0, -100})},
      {"more queries than keys", pattern::dense({300, 90, 0, 0})}};
  for (const auto& [name, plan] : patterns) expect_near_oracle(problem_of(plan, 2, 2, 2, 32, 32, 30), name);
}

TEST(AttentionKernel, EqualsTheReferenceForGroupedHeads) {
  expect_near_oracle(problem_of(pattern::causal(Extent::square(200)), 2, 6, 2, 32, 32, 40),
                     "three query heads to a key head");
  expect_near_oracle(problem_of(pattern::sliding_window(Extent::square(200), 60, 0), 1, 8, 1, 32, 16, 41),
                     "one key head");
}

TEST(AttentionKernel, ReadsAndWritesPartsOfAFusedProjectionInPlace) {
  Problem problem = problem_of(pattern::causal(Extent::square(150)), 2, 4, 2, 32, 32, 50);
  const Results plain = run_attention(problem, Device::cpu(), DType::kF32);
  problem.fused = true;
  EXPECT_TRUE(same_bits(run_attention(problem, Device::cpu(), DType::kF32), plain));
  expect_near_oracle(problem, "fused");
}

/// Masks, segments, buckets, globals, side keys, multiplicity and dropout at once.
Problem everything(uint64_t seed, int64_t n, double dropout) {
  const RandomStream random{seed, 0, 0, RandomPurpose::kTest};
  uint64_t draw = 0;
  const auto below = [&](int64_t limit) {
    return static_cast<int64_t>(random.word(draw++) % static_cast<uint32_t>(limit));
  };
  const int heads = 2;
  PatternBuilder builder(Extent::square(n), heads);
  builder.side_keys(90, -5);
  std::array<uint64_t, kPatternTile> bits;
  for (uint64_t& row : bits) row = mix64(random.word(draw++));
  const int table = builder.bit_table(bits);
  for (int layout = 0; layout < heads; ++layout) {
    for (int64_t q = 0; q < builder.query_tiles(); ++q) {
      for (int64_t k = 0; k < builder.key_tiles(); ++k) {
        if (below(4) == 0) continue;
        TileRule rule;
        constexpr uint32_t kTerms[] = {kCausal,          kStrict,    kBand, kSameSegment,
                                       kPreviousSegment, kStride,    kTail, kSegmentId,
                                       kSameBucket,      kNotGlobal, kBits, 0};
        rule.terms = kTerms[below(12)] | kTerms[below(12)];
        if ((rule.terms & kStride) && (rule.terms & kTail)) rule.terms &= ~kTail;
        rule.band_lo = -static_cast<int32_t>(below(n)), rule.band_hi = static_cast<int32_t>(below(n));
        rule.segment = static_cast<int32_t>(30 + below(60)), rule.stride = 3, rule.tail = 10, rule.bit_table = table;
        rule.self = static_cast<SelfScore>(below(3));
        builder.add(layout, q, k, rule, below(3) == 0 ? 0.6931472f : 0.0f);
      }
      TileRule compressed;
      compressed.terms = kCompress;
      compressed.compress = 3;
      builder.add_side(layout, q, 0, compressed, below(2) == 0 ? 1.0f : 0.0f);
      builder.add_side(layout, q, 1, compressed);
    }
  }
  Problem problem = problem_of(builder.build(), 2, heads, heads, 32, 32, seed);
  problem.dropout = dropout;
  problem.first_row = 5;
  for (int64_t r = 0; r < 2 * n; ++r) {
    problem.key_valid.push_back(below(6) != 0), problem.query_valid.push_back(below(9) != 0),
        problem.key_global.push_back(below(5) == 0);
    problem.query_segment.push_back(static_cast<int32_t>(r % n / 37)),
        problem.key_segment.push_back(static_cast<int32_t>(r % n / 37));
    problem.query_bucket.push_back(static_cast<int32_t>(below(3))),
        problem.key_bucket.push_back(static_cast<int32_t>(below(3)));
  }
  for (int64_t s = 0; s < 2 * 90; ++s) problem.side_valid.push_back(below(4) != 0);
  return problem;
}

TEST(AttentionKernel, EqualsTheReferenceForRandomPlansOfAllRules) {
  for (uint64_t seed = 0; seed < 6; ++seed)
    expect_near_oracle(everything(100 + seed, 150 + 31 * static_cast<int64_t>(seed), 0),
                       ("seed " + std::to_string(seed)).c_str());
}

TEST(AttentionKernel, EqualsTheReferenceWithDropout) {
  expect_near_oracle(everything(200, 201, 0.3), "all rules");
  Problem causal = problem_of(pattern::causal(Extent::square(210)), 2, 2, 2, 32, 32, 60);
  causal.dropout = 0.1;
  expect_near_oracle(causal, "causal");
  Problem permuted = problem_of(pattern::strided(Extent::square(131), 3, true), 1, 2, 2, 32, 32, 61);
  permuted.dropout = 0.5;
  expect_near_oracle(permuted, "permuted rows");
  Problem few = problem_of(pattern::causal(Extent::decode(3, 300)), 1, 2, 1, 32, 32, 62);
  few.dropout = 0.2;
  expect_near_oracle(few, "few queries");
}

/// Relative queries of width dr (0: none) and a bias over `distances` from `first` on.
Problem relative(Pattern pattern, int64_t batch, int64_t heads, int64_t key_heads, int64_t d, int64_t dr, int64_t first,
                 int64_t distances, uint64_t seed) {
  Problem problem = problem_of(std::move(pattern), batch, heads, key_heads, d, d, seed);
  problem.dr = dr, problem.first_distance = first, problem.distances = distances;
  problem.fill(seed);
  return problem;
}

TEST(AttentionKernel, EqualsTheReferenceWithRelativeTerms) {
  for (const auto& [segment, memory] : {std::pair<int64_t, int64_t>{1, 0}, {7, 1}, {64, 64}, {65, 100}, {40, 333}, {150, 0}, {200, 250}}) {
    const Pattern plan = pattern::causal(Extent::decode(segment, segment + memory));
    expect_near_oracle(relative(plan, 2, 2, 2, 32, 32, 0, segment + memory, 400),
                       ("segment " + std::to_string(segment) + ", memory " + std::to_string(memory)).c_str());
  }
  for (const int64_t dr : {5, 16, 41, 80, 128}) {
    expect_near_oracle(relative(pattern::causal(Extent::decode(90, 170)), 1, 2, 2, 24, dr, 0, 170, 401),
                       ("width " + std::to_string(dr)).c_str());
  }
  const Extent extent = Extent::decode(150, 290);
  expect_near_oracle(relative(pattern::causal(extent), 1, 2, 2, 32, 32, 0, 50, 402), "distances from 50 on share a row");
  expect_near_oracle(relative(pattern::causal(extent), 1, 2, 2, 32, 32, 33, 90, 403), "the table begins at 33");
  expect_near_oracle(relative(pattern::dense(Extent::square(190)), 1, 2, 2, 32, 32, -70, 130, 404), "both directions");
  expect_near_oracle(relative(pattern::sliding_window(extent, 99, 0), 1, 2, 2, 32, 32, 0, 100, 405), "window");
  expect_near_oracle(relative(pattern::causal(extent), 1, 4, 2, 32, 32, 0, 290, 406), "grouped heads");
  expect_near_oracle(relative(pattern::causal(extent), 2, 2, 2, 32, 0, 0, 290, 407), "a bias alone");
  expect_near_oracle(relative(pattern::causal(Extent::square(1)), 1, 2, 2, 32, 32, 0, 1, 408), "one pair");
  expect_near_oracle(relative(pattern::causal(Extent::decode(3, 700)), 1, 2, 1, 32, 32, 0, 300, 409), "few queries");
  expect_near_oracle(relative(pattern::strided(Extent::square(131), 3, true), 1, 2, 2, 32, 32, 0, 100, 410), "permuted rows");
  Problem alone = relative(pattern::causal(extent), 10, 1, 1, 32, 32, 0, 290, 411);
  alone.dropout = 0.2;
  expect_near_oracle(alone, "dropout, and a task for each batch entry");
  Problem masked = everything(412, 201, 0.1);
  masked.dr = 32, masked.distances = 150, masked.first_distance = -40;
  masked.fill(412);
  expect_near_oracle(masked, "all rules");
}

TEST(AttentionKernel, NumbersThatAreNotFiniteDoNotSpreadThroughRelativeTerms) {
  Problem problem = relative(pattern::causal(Extent::decode(130, 200)), 1, 1, 1, 16, 16, 0, 200, 420);
  problem.relative_key[16 * 199] = std::nan("");  // seen by the last query alone, at the first key
  problem.relative_query[16 * 3] = std::nan("");
  expect_near_oracle(problem, "a row of the table and a query");
}

TEST(AttentionKernel, TakesEachGradientAlone) {
  Problem problem = problem_of(pattern::causal(Extent::square(130)), 1, 2, 2, 32, 32, 70);
  problem.with_dlse = false;
  expect_near_oracle(problem, "no gradient of lse");
  problem.with_dlse = true, problem.with_dout = false;
  expect_near_oracle(problem, "no gradient of out");
}

TEST(AttentionKernel, ManyKeysForFewQueriesEqualTheReference) {
  for (const int64_t queries : {1, 3}) {
    expect_near_oracle(problem_of(pattern::causal(Extent::decode(queries, 1500)), 1, 2, 1, 64, 64, 80), "causal");
    expect_near_oracle(problem_of(pattern::sliding_window(Extent::decode(queries, 1500), 511, 0), 1, 2, 2, 40, 24, 81),
                       "window");
  }
}

TEST(AttentionKernel, DecodingTokenByTokenEqualsOnePass) {
  const int64_t n = 140;
  const Problem whole = problem_of(pattern::causal(Extent::square(n)), 1, 2, 2, 32, 32, 90);
  const Results expected = run_attention(whole, Device::cpu(), DType::kF32);
  for (int64_t t = 0; t < n; t += 13) {
    Problem step = whole;
    step.pattern = pattern::causal(Extent::decode(1, t + 1));
    const auto rows = [&](const std::vector<double>& from, int64_t first, int64_t count, int64_t d) {
      std::vector<double> out;
      for (int64_t h = 0; h < 2; ++h) {
        const auto begin = from.begin() + (h * n + first) * d;
        out.insert(out.end(), begin, begin + count * d);
      }
      return out;
    };
    step.query = rows(whole.query, t, 1, 32), step.key = rows(whole.key, 0, t + 1, 32),
    step.value = rows(whole.value, 0, t + 1, 32);
    step.dout = rows(whole.dout, t, 1, 32), step.dlse = rows(whole.dlse, t, 1, 1);
    const Results one = run_attention(step, Device::cpu(), DType::kF32);
    EXPECT_LT(largest_error(one.out, rows(expected.out, t, 1, 32)), 1e-5) << t;
    EXPECT_LT(largest_error(one.lse, rows(expected.lse, t, 1, 1)), 1e-5) << t;
  }
}

TEST(AttentionKernel, HasTheSameBitsForAnyNumberOfThreads) {
  std::vector<Problem> problems = {everything(300, 260, 0.2),
                                   problem_of(pattern::causal(Extent::square(520)), 1, 2, 1, 32, 32, 91),
                                   problem_of(pattern::sliding_window(Extent::square(200), 90, 0), 2, 4, 4, 32, 32, 92),
                                   problem_of(pattern::causal(Extent::decode(2, 2100)), 1, 2, 2, 32, 32, 93),
                                   relative(pattern::causal(Extent::decode(300, 500)), 1, 2, 2, 32, 32, 0, 450, 94),
                                   relative(pattern::causal(Extent::decode(150, 170)), 5, 2, 2, 32, 32, 0, 170, 95)};
  each_isa([&] {
    for (const Problem& problem : problems) {
      for (const DType dtype : {DType::kF32, DType::kBF16}) {
        const Results one = run_attention(problem, Device::cpu(), dtype, 1);
        EXPECT_TRUE(same_bits(run_attention(problem, Device::cpu(), dtype, 1), one)) << "a second run";
        EXPECT_TRUE(same_bits(run_attention(problem, Device::cpu(), dtype, 2), one)) << "2 threads";
        EXPECT_TRUE(same_bits(run_attention(problem, Device::cpu(), dtype, 8), one)) << "8 threads";
      }
    }
  });
}

}  // namespace
}  // namespace longhaul::testing
