#include "framework/attention/lsh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "framework/attention/merge.h"
#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/pattern/builders.h"

namespace longhaul::testing {
namespace {

using ::testing::ElementsAre;

struct Scene {
  int64_t batch = 2, length = 24, heads = 2, head_dim = 4, rounds = 2;
  pattern::ChunkOptions chunks{.chunk = 4, .before = 1, .after = 0, .causal = true};
  kernels::LshHash hash{{4}};
  Device device = Device::reference();
  DType dtype = DType::kF64;

  /// The same normal numbers for every device and type.
  Tensor operand(uint32_t k) const {
    const RandomStream stream{.seed = 7, .step = 0, .layer = k, .purpose = RandomPurpose::kTest};
    std::vector<float> values;
    for (int64_t i = 0; i < batch * length * heads * head_dim; ++i)
      values.push_back(static_cast<float>(stream.normal(static_cast<uint64_t>(i))));
    const Shape shape{batch, length, heads * head_dim};
    if (dtype == DType::kF64) return Tensor::of<double>(shape, {values.begin(), values.end()}, device);
    return Tensor::of<float>(shape, values, device);
  }
  Tensor rotations() const {
    return attention::lsh_rotations(heads, head_dim, rounds, hash,
                                    {.seed = 3, .step = 1, .layer = 2, .purpose = RandomPurpose::kHashRotation}, dtype,
                                    device);
  }
  attention::LshOptions options() const {
    return {
        .pattern = pattern::sorted_chunks(length, chunks), .chunks = chunks, .buckets = hash.buckets(), .dropout = {}};
  }
};

double at(const Tensor& t, int64_t i) {
  return t.dtype() == DType::kF64 ? t.data<double>()[i] : static_cast<double>(t.data<float>()[i]);
}

/// The dense oracle of section 1.5 and 1.6 of the method: every round's key lists with their multiplicities, the own
/// score replaced by -1e5, softmax by round and over rounds, all in f64.
std::vector<double> dense_oracle(const Scene& s, const Tensor& q, const Tensor& k, const Tensor& v,
                                 const Tensor& buckets, const std::vector<uint8_t>& valid) {
  const int64_t slots = pattern::chunked_rows(s.length, s.chunks.chunk), per_round = slots / s.chunks.chunk,
                chunks = per_round * s.rounds, width = s.heads * s.head_dim;
  std::vector<double> out(static_cast<size_t>(s.batch * s.length * width), 0.0);
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t h = 0; h < s.heads; ++h) {
      std::vector<std::vector<int64_t>> content(static_cast<size_t>(chunks));
      for (int64_t r = 0; r < s.rounds; ++r) {
        std::vector<std::pair<int32_t, int64_t>> order;
        for (int64_t n = 0; n < s.length; ++n)
          order.emplace_back(buckets.data<int32_t>()[((b * s.heads + h) * s.rounds + r) * s.length + n], n);
        std::sort(order.begin(), order.end());
        for (int64_t slot = 0; slot < s.length; ++slot)
          content[static_cast<size_t>(r * per_round + slot / s.chunks.chunk)].push_back(
              order[static_cast<size_t>(slot)].second);
      }
      const auto element = [&](const Tensor& t, int64_t n, int64_t c) {
        return at(t, (b * s.length + n) * width + h * s.head_dim + c);
      };
      std::vector<std::vector<std::pair<double, std::vector<double>>>> rounds(static_cast<size_t>(s.length));
      for (int64_t c = 0; c < chunks; ++c) {
        for (const int64_t i : content[static_cast<size_t>(c)]) {
          std::vector<double> scores;
          std::vector<int64_t> keys;
          for (int64_t o = -s.chunks.before; o <= s.chunks.after; ++o) {
            for (const int64_t j : content[static_cast<size_t>(((c + o) % chunks + chunks) % chunks)]) {
              double score = 0;
              for (int64_t e = 0; e < s.head_dim; ++e) score += element(q, i, e) * element(k, j, e);
              if ((s.chunks.causal && j > i) || (!valid.empty() && !valid[static_cast<size_t>(b * s.length + j)]))
                score = -1e9;
              if (i == j) score = -1e5;
              scores.push_back(score);
              keys.push_back(j);
            }
          }
          const double peak = *std::max_element(scores.begin(), scores.end());
          double total = 0;
          std::vector<double> sum(static_cast<size_t>(s.head_dim), 0.0);
          for (size_t n = 0; n < keys.size(); ++n) {
            const double p = std::exp(scores[n] - peak);
            total += p;
            for (int64_t e = 0; e < s.head_dim; ++e) sum[static_cast<size_t>(e)] += p * element(v, keys[n], e);
          }
          for (double& x : sum) x /= total;
          rounds[static_cast<size_t>(i)].emplace_back(peak + std::log(total), sum);
        }
      }
      for (int64_t i = 0; i < s.length; ++i) {
        double peak = -INFINITY, total = 0;
        for (const auto& [lse, o] : rounds[static_cast<size_t>(i)]) peak = std::max(peak, lse);
        for (const auto& [lse, o] : rounds[static_cast<size_t>(i)]) {
          total += std::exp(lse - peak);
          for (int64_t e = 0; e < s.head_dim; ++e)
            out[static_cast<size_t>((b * s.length + i) * width + h * s.head_dim + e)] +=
                std::exp(lse - peak) * o[static_cast<size_t>(e)];
        }
        for (int64_t e = 0; e < s.head_dim; ++e)
          out[static_cast<size_t>((b * s.length + i) * width + h * s.head_dim + e)] /= total;
      }
    }
  }
  return out;
}

double distance(const Tensor& found, const std::vector<double>& expected) {
  double worst = 0;
  for (size_t i = 0; i < expected.size(); ++i)
    worst = std::max(worst, std::abs(at(found, static_cast<int64_t>(i)) - expected[i]));
  return worst;
}

void expect_equal_to_oracle(Scene s, const std::vector<uint8_t>& valid = {}) {
  for (const Device device : {Device::reference(), Device::cpu()}) {
    s.device = device;
    s.dtype = device == Device::reference() ? DType::kF64 : DType::kF32;
    const Variable q(s.operand(1)), v(s.operand(2));
    const Variable k = attention::unit_keys(q, s.heads);
    attention::LshFacts facts;
    if (!valid.empty()) facts.valid = Tensor::of<uint8_t>({s.batch, s.length}, valid, device);
    const Tensor buckets = attention::lsh_buckets(q.value(), s.rotations(), s.hash, facts.valid);
    const Tensor out = attention::lsh_attention(q, k, v, buckets, s.options(), facts).value();
    const std::vector<double> expected = dense_oracle(s, q.value(), k.value(), v.value(), buckets, valid);
    EXPECT_LE(distance(out, expected), s.dtype == DType::kF64 ? 1e-12 : 2e-6) << name_of(device);
  }
}

TEST(Lsh, EqualsTheDenseOracle) { expect_equal_to_oracle({}); }
TEST(Lsh, EqualsTheDenseOracleAtAnyLength) {
  for (const int64_t length : {5, 9, 63, 65, 131}) expect_equal_to_oracle({.length = length, .rounds = 3});
}
TEST(Lsh, EqualsTheDenseOracleWithChunksOfTilesAndMore) {
  expect_equal_to_oracle({.length = 200, .chunks = {.chunk = 64}});
  expect_equal_to_oracle({.length = 200, .chunks = {.chunk = 48, .before = 2, .after = 1, .causal = false}});
  expect_equal_to_oracle(
      {.length = 300, .rounds = 1, .chunks = {.chunk = 100, .before = 0, .after = 1, .causal = true}});
}
TEST(Lsh, CountsAKeyAsOftenAsItIsListed) {
  // More chunks in view than a round has: chunks of this round and of its neighbours come several times.
  expect_equal_to_oracle({.length = 8, .rounds = 2, .chunks = {.chunk = 4, .before = 3, .after = 2, .causal = false}});
  expect_equal_to_oracle({.length = 8, .rounds = 1, .chunks = {.chunk = 4, .before = 2}});
}
TEST(Lsh, MasksPadding) {
  std::vector<uint8_t> valid(2 * 24, 1);
  for (size_t n = 17; n < 24; ++n) valid[24 + n] = 0;
  valid[3] = 0;
  Scene s{.chunks = {.chunk = 5, .before = 1, .after = 1, .causal = false}, .hash = {{2, 4}}};
  for (const Device device : {Device::reference(), Device::cpu()}) {
    s.device = device;
    s.dtype = device == Device::reference() ? DType::kF64 : DType::kF32;
    const Variable q(s.operand(1)), v(s.operand(2)), k = attention::unit_keys(q, s.heads);
    const Tensor mask = Tensor::of<uint8_t>({s.batch, s.length}, valid, device);
    const Tensor buckets = attention::lsh_buckets(q.value(), s.rotations(), s.hash, mask);
    for (int64_t r = 0; r < s.rounds; ++r)
      EXPECT_EQ(buckets.data<int32_t>()[r * s.length + 3], 8) << "padding has a bucket of its own";
    const Tensor out =
        attention::lsh_attention(q, k, v, buckets, s.options(), {.valid = mask, .documents = {}}).value();
    EXPECT_LE(distance(out, dense_oracle(s, q.value(), k.value(), v.value(), buckets, valid)),
              s.dtype == DType::kF64 ? 1e-12 : 2e-6);
  }
}

TEST(Lsh, ShortSequencesEqualFullAttention) {
  // Two chunks and one of them in view from the other: with one round every token sees all before it.
  Scene s{.length = 8, .rounds = 1};
  const Variable q(s.operand(1)), v(s.operand(2)), k = attention::unit_keys(q, s.heads);
  const Tensor one = Tensor::zeros({s.batch, s.heads, 1, s.length}, DType::kI32, s.device);
  const Tensor hashed = attention::lsh_attention(q, k, v, one, s.options(), {}).value();
  const Tensor full = attention::shared_query_key_attention(q, k, v, s.heads, true, {}, {}).value();
  for (int64_t i = 0; i < full.elements(); ++i) EXPECT_NEAR(at(hashed, i), at(full, i), 1e-12);
  // Position 0 sees nothing else, so it sees itself.
  for (int64_t e = 0; e < 8; ++e) EXPECT_EQ(at(full, e), at(v.value(), e));
}

TEST(Lsh, OneBucketEqualsLocalAttention) {
  Scene s{.length = 32, .rounds = 1};
  const Variable q(s.operand(1)), v(s.operand(2)), k = attention::unit_keys(q, s.heads);
  const Tensor one = Tensor::zeros({s.batch, s.heads, 1, s.length}, DType::kI32, s.device);
  const Tensor hashed = attention::lsh_attention(q, k, v, one, s.options(), {}).value();
  const auto heads = [&](const Tensor& x) {
    return x.reshape({s.batch, s.length, s.heads, s.head_dim}).permute({0, 2, 1, 3});
  };
  attention::AttentionSpec spec;
  spec.pattern = pattern::local_chunks(Extent::square(s.length), s.chunks);
  spec.scale = 1;
  const Tensor local = attention::block_attention(Variable(heads(q.value())), Variable(heads(k.value())),
                                                  Variable(heads(v.value())), spec)
                           .out.value();
  // Local attention sees the own key as well: compare through the softmax without it.
  const Tensor lse = attention::block_attention(Variable(heads(q.value())), Variable(heads(k.value())),
                                                Variable(heads(v.value())), spec)
                         .lse.value();
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t h = 0; h < s.heads; ++h) {
      for (int64_t i = 1; i < s.length; ++i) {
        double own = 0;
        for (int64_t e = 0; e < s.head_dim; ++e)
          own += at(q.value(), (b * s.length + i) * 8 + h * 4 + e) * at(k.value(), (b * s.length + i) * 8 + h * 4 + e);
        const double p = std::exp(own - at(lse, (b * s.heads + h) * s.length + i));
        for (int64_t e = 0; e < s.head_dim; ++e) {
          const double without = (at(local, ((b * s.heads + h) * s.length + i) * 4 + e) -
                                  p * at(v.value(), (b * s.length + i) * 8 + h * 4 + e)) /
                                 (1 - p);
          EXPECT_NEAR(at(hashed, (b * s.length + i) * 8 + h * 4 + e), without, 1e-10);
        }
      }
    }
  }
}

TEST(Lsh, NothingReachesEarlierOutputsWhileTheSelectionIsHeld) {
  Scene s{.length = 100, .rounds = 3, .chunks = {.chunk = 16}, .device = Device::cpu(), .dtype = DType::kF32};
  const Tensor q = s.operand(1), v = s.operand(2);
  const Tensor buckets = attention::lsh_buckets(q, s.rotations(), s.hash, {});
  const auto run = [&] {
    return attention::lsh_attention(Variable(q), attention::unit_keys(Variable(q), s.heads), Variable(v), buckets,
                                    s.options(), {})
        .value();
  };
  const Tensor before = run();
  constexpr int64_t kChanged = 57;
  for (int64_t b = 0; b < s.batch; ++b) {
    for (int64_t e = 0; e < 8; ++e) {
      q.data<float>()[(b * s.length + kChanged) * 8 + e] += 5;
      v.data<float>()[(b * s.length + kChanged) * 8 + e] -= 3;
    }
  }
  const Tensor after = run();
  for (int64_t b = 0; b < s.batch; ++b) {
    const size_t bytes = static_cast<size_t>(kChanged) * 8 * sizeof(float);
    EXPECT_EQ(0, std::memcmp(before.data<float>() + b * s.length * 8, after.data<float>() + b * s.length * 8, bytes));
  }
}

TEST(Lsh, TheSumOfRoundsEqualsTheMergeOfTheirResults) {
  // The fused rounds against one call for each round, whose rows the public pieces give.
  Scene s{.rounds = 3};
  const Variable q(s.operand(1)), v(s.operand(2)), k = attention::unit_keys(q, s.heads);
  const Tensor buckets = attention::lsh_buckets(q.value(), s.rotations(), s.hash, {});
  Tensor round_lse;
  const Tensor out = attention::lsh_attention(q, k, v, buckets, s.options(), {}, &round_lse).value();
  ASSERT_EQ(round_lse.shape(), (Shape{2, 2, 3, 24}));
  EXPECT_EQ(at(round_lse, 0), -INFINITY) << "position 0 sees nothing but itself";
  EXPECT_LE(distance(out, dense_oracle(s, q.value(), k.value(), v.value(), buckets, {})), 1e-12);
}

TEST(Lsh, RotationsAreFreshAtEveryStepAndEqualForEqualStreams) {
  const kernels::LshHash hash{{8}};
  const auto draw = [&](uint64_t step, Device device) {
    return attention::lsh_rotations(2, 4, 2, hash,
                                    {.seed = 9, .step = step, .layer = 0, .purpose = RandomPurpose::kHashRotation},
                                    DType::kF32, device);
  };
  const Tensor a = draw(1, Device::cpu()), again = draw(1, Device::cpu()), next = draw(2, Device::cpu()),
               plain = draw(1, Device::reference());
  EXPECT_EQ(0, std::memcmp(a.raw(), again.raw(), static_cast<size_t>(a.bytes())));
  EXPECT_EQ(0, std::memcmp(a.raw(), plain.raw(), static_cast<size_t>(a.bytes())));
  EXPECT_NE(0, std::memcmp(a.raw(), next.raw(), static_cast<size_t>(a.bytes())));
}

TEST(Lsh, AutomaticBucketsFollowThePublishedRule) {
  EXPECT_THAT(attention::automatic_buckets(64, 8, 72), ElementsAre(16));
  EXPECT_THAT(attention::automatic_buckets(100, 8, 128), ElementsAre(16)) << "the largest power of two";
  EXPECT_THAT(attention::automatic_buckets(65536, 64, 65536), ElementsAre(32, 64)) << "too many for one factor";
  EXPECT_THAT(attention::automatic_buckets(5, 8, 8), ElementsAre(2)) << "never fewer than two";
}

TEST(Lsh, RefusesWhatDoesNotFit) {
  Scene s;
  const Tensor q = s.operand(1);
  EXPECT_THROW(attention::lsh_buckets(q, s.rotations(), {{3}}, {}), ShapeError);
  EXPECT_THROW(attention::lsh_buckets(q, s.rotations(), {{4, 2}}, {}), ShapeError);
  EXPECT_THROW(attention::lsh_buckets(q, s.rotations(), {{}}, {}), ShapeError);
  const Variable x(q);
  Tensor buckets = attention::lsh_buckets(q, s.rotations(), s.hash, {});
  attention::LshOptions wrong = s.options();
  wrong.pattern = pattern::sorted_chunks(s.length, {.chunk = 8});
  EXPECT_THROW(attention::lsh_attention(x, x, x, buckets, wrong, {}), ShapeError);
  buckets.data<int32_t>()[5] = 17;
  EXPECT_THROW(attention::lsh_attention(x, x, x, buckets, s.options(), {}), FailureError)
      << "a bucket that does not exist";
}

TEST(Merge, RefusesPartsThatDiffer) {
  EXPECT_THROW(attention::merge({}), ShapeError);
  const Tensor out = Tensor::zeros({1, 1, 4, 8}, DType::kF32, Device::cpu()),
               lse = Tensor::zeros({1, 1, 4}, DType::kF32, Device::cpu());
  const attention::AttentionResult parts[] = {
      {Variable(out), Variable(lse)}, {Variable(out), Variable(Tensor::zeros({1, 1, 5}, DType::kF32, Device::cpu()))}};
  EXPECT_THROW(attention::merge(parts), ShapeError);
}

}  // namespace
}  // namespace longhaul::testing
