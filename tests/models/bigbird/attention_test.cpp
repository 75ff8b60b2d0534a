#include "models/bigbird/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "framework/autograd/tape.h"
#include "framework/base/threads.h"
#include "framework/ops/support.h"
#include "framework/pattern/audit.h"
#include "framework/tensor/memory.h"
#include "models/bigbird/pattern.h"
#include "tests/support/mixer_check.h"

namespace longhaul::models {
namespace {

using testing::Mixed;

constexpr int64_t kHeads = 2, kHeadDim = 8, kDim = kHeads * kHeadDim;

struct Setting {
  int64_t block = 8, globals = 0, slots = 2;
  bool first_block = false;  // evaluation lists
  double dropout = 0;
  BlockGraph graph(int64_t tokens) const { return {tokens - globals, block, globals}; }
};

Pattern pattern_of(const Setting& s, int64_t tokens) {
  const BlockGraph graph = s.graph(tokens);
  const RandomBlockShape shape{graph.length, s.block, s.slots, kHeads};
  if (s.first_block) return bigbird_pattern(graph, first_block_lists(shape));
  const int64_t first = s.globals > 0 ? 0 : 1;
  return bigbird_pattern(graph, counter_random_blocks(shape, first, std::max<int64_t>(graph.count() - 2 * first, 0), 3, 1, [&](int64_t row) { return seen_blocks(graph, row); }));
}

std::unique_ptr<BlockAttention> mixer_of(const Setting& s, DType dtype, Device device, int64_t whole_below = 1000) {
  nn::Initializer init(1, device, dtype);
  const auto patterns = std::make_shared<PatternCache>([s](const Extent& extent) { return pattern_of(s, extent.keys); });
  const SelfAttentionOptions options{.dim = kDim, .heads = kHeads, .key_heads = kHeads, .head_dim = kHeadDim, .dropout = s.dropout};
  auto mixer = std::make_unique<BlockAttention>(options, BlockPatterns{patterns, patterns, whole_below}, init);
  testing::set_parameters(*mixer, 0.3);
  return mixer;
}

SequenceInfo sequence_of(int64_t batch, int64_t length, const std::vector<int64_t>& lengths, Device device) {
  SequenceInfo out;
  out.batch = batch, out.length = length;
  if (lengths.empty()) return out;
  std::vector<uint8_t> real;
  for (const int64_t one : lengths) {
    for (int64_t i = 0; i < length; ++i) real.push_back(i < one);
  }
  out.valid = Tensor::of<uint8_t>({batch, length}, real, device);
  return out;
}

std::vector<double> oracle(const BlockAttention& mixer, const Setting& s, int64_t batch, int64_t length, const std::vector<int64_t>& lengths, const std::vector<double>& hidden) {
  const std::vector<double> qkv = testing::project(hidden, testing::parameter(mixer, "qkv.weight"), testing::parameter(mixer, "qkv.bias"), kDim);
  std::vector<double> mixed(hidden.size(), 0);
  const Pattern pattern = pattern_of(s, length);
  for (int64_t h = 0; h < kHeads; ++h) {
    const std::vector<float> times = multiplicities(pattern, pattern.layouts() > 1 ? static_cast<int>(h) : 0);
    for (int64_t b = 0; b < batch; ++b) {
      const int64_t real = lengths.empty() ? length : lengths[static_cast<size_t>(b)];
      const testing::HeadRows rows{qkv.data() + b * length * 3 * kDim, 3 * kDim};
      for (int64_t i = 0; i < real; ++i) {
        const auto row = testing::dense_row(rows.at(i, h * kHeadDim), rows, kDim + h * kHeadDim, rows, 2 * kDim + h * kHeadDim, length, kHeadDim,
                                            [&](int64_t j) { return j < real ? static_cast<double>(times[static_cast<size_t>(i * length + j)]) : 0.0; });
        std::copy(row.begin(), row.end(), mixed.begin() + (b * length + i) * kDim + h * kHeadDim);
      }
    }
  }
  return testing::project(mixed, testing::parameter(mixer, "out.weight"), testing::parameter(mixer, "out.bias"), kDim);
}

void expect_exact(const Setting& s, int64_t length, const std::vector<int64_t>& lengths) {
  const int64_t batch = lengths.empty() ? 1 : static_cast<int64_t>(lengths.size());
  const auto exact = mixer_of(s, DType::kF64, Device::reference());
  const Tensor wide = testing::random_tensor({batch, length, kDim}, 9, DType::kF64, Device::reference());
  const Mixed reference = testing::run_mixer(*exact, wide, sequence_of(batch, length, lengths, Device::reference()), {.compute = DType::kF64});
  EXPECT_LT(testing::distance(reference.out, oracle(*exact, s, batch, length, lengths, testing::numbers_of(wide))), 1e-6) << length;  // ln m is f32
  const auto fast = mixer_of(s, DType::kF32, Device::cpu());
  const Mixed cpu = testing::run_mixer(*fast, testing::random_tensor({batch, length, kDim}, 9, DType::kF32, Device::cpu()), sequence_of(batch, length, lengths, Device::cpu()), {});
  EXPECT_LT(testing::distance(cpu.out, reference.out), 2e-5) << length;
  EXPECT_LT(testing::distance(cpu.hidden_gradient, reference.hidden_gradient), 2e-5) << length;
  for (size_t k = 0; k < cpu.gradients.size(); ++k) EXPECT_LT(testing::distance(cpu.gradients[k], reference.gradients[k]), 2e-5) << length;
  const Mixed half = testing::run_mixer(*fast, testing::random_tensor({batch, length, kDim}, 9, DType::kF32, Device::cpu()), sequence_of(batch, length, lengths, Device::cpu()), {.compute = DType::kBF16});
  EXPECT_LT(testing::distance(half.out, reference.out), 2e-2) << length;
  EXPECT_LT(testing::distance(half.hidden_gradient, reference.hidden_gradient), 2e-2) << length;
}

TEST(BigBirdAttention, EqualsTheDenseDefinition) {
  for (const int64_t n : {1, 2, 63, 64, 65, 104, 128, 209, 257}) expect_exact({}, n, {n, (n + 1) / 2, 0});
  expect_exact({.first_block = true}, 104, {104, 60});
  expect_exact({.block = 64, .slots = 1}, 400, {});
  expect_exact({.block = 16, .globals = 5}, 105, {105, 33});
  expect_exact({.block = 64, .globals = 64, .slots = 0}, 300, {300});
}

TEST(BigBirdAttention, DropoutActsOnSequencesThatAreSeenWhole) {
  const auto run = [](double dropout, int64_t length) {
    const auto mixer = mixer_of({.dropout = dropout}, DType::kF32, Device::cpu(), 64);
    return testing::run_mixer(*mixer, testing::random_tensor({1, length, kDim}, 9, DType::kF32, Device::cpu()), sequence_of(1, length, {}, Device::cpu()), {.training = true, .seed = 1, .step = 3}).out;
  };
  EXPECT_EQ(run(0.5, 65), run(0, 65));
  EXPECT_NE(run(0.5, 64), run(0, 64));
}

TEST(BigBirdAttention, GradientsEqualFiniteDifferences) {
  for (const Setting& s : {Setting{.block = 2}, Setting{.block = 2, .first_block = true}, Setting{.block = 2, .globals = 3}}) {
    const auto mixer = mixer_of(s, DType::kF64, Device::reference());
    testing::expect_gradients(*mixer, testing::random_tensor({2, 15, kDim}, 9, DType::kF64, Device::reference()), sequence_of(2, 15, {15, 8}, Device::reference()), {.compute = DType::kF64});
  }
}

TEST(BigBirdAttention, TheLastBlockOfTheBatchIsGlobalEvenWhereItIsPadding) {
  // More padding moves the global last block, which real tokens notice; another batch row does not.
  const auto mixer = mixer_of({.slots = 0}, DType::kF64, Device::reference());
  const Tensor hidden = testing::random_tensor({1, 96, kDim}, 9, DType::kF64, Device::reference());
  const auto rows = [&](int64_t length) {
    const Tensor part = ops::dense(hidden.slice(1, 0, length));
    std::vector<double> out = testing::run_mixer(*mixer, part, sequence_of(1, length, {80}, Device::reference()), {.compute = DType::kF64}).out;
    out.resize(static_cast<size_t>(80 * kDim));
    return out;
  };
  EXPECT_LT(testing::distance(rows(80), rows(80)), 1e-15);
  EXPECT_GT(testing::distance(rows(88), rows(80)), 1e-3);
  EXPECT_LT(testing::distance(rows(96), rows(88)), 1e-15);  // neither last block has a token
  const Tensor two = testing::random_tensor({2, 88, kDim}, 11, DType::kF64, Device::reference());
  std::memcpy(two.raw(), ops::dense(hidden.slice(1, 0, 88)).raw(), static_cast<size_t>(88 * kDim) * sizeof(double));
  std::vector<double> beside = testing::run_mixer(*mixer, two, sequence_of(2, 88, {80, 88}, Device::reference()), {.compute = DType::kF64}).out;
  beside.resize(static_cast<size_t>(80 * kDim));
  EXPECT_LT(testing::distance(beside, rows(88)), 1e-15);
}

TEST(BigBirdAttention, SameBitsForAnyNumberOfThreadsAndAgain) {
  const auto mixer = mixer_of({.block = 16, .dropout = 0.2}, DType::kF32, Device::cpu());
  const Tensor hidden = testing::random_tensor({2, 150, kDim}, 9, DType::kF32, Device::cpu());
  const auto run = [&](int threads) {
    set_thread_count(threads);
    const Mixed out = testing::run_mixer(*mixer, hidden, sequence_of(2, 150, {150, 99}, Device::cpu()), {.training = true, .seed = 1, .step = 3});
    set_thread_count(0);
    return out;
  };
  const Mixed one = run(1);
  for (const int threads : {1, 2, 5}) {
    const Mixed again = run(threads);
    EXPECT_EQ(again.out, one.out);
    EXPECT_EQ(again.hidden_gradient, one.hidden_gradient);
    EXPECT_EQ(again.gradients, one.gradients);
  }
}

int64_t planned_bytes(int64_t length) {
  const MetaMemoryScope memory;
  const auto mixer = [] {
    nn::Initializer init(1, Device::meta(), DType::kF32);
    const auto patterns = std::make_shared<PatternCache>([](const Extent& extent) { return pattern_of({.block = 64}, extent.keys); });
    return std::make_unique<BlockAttention>(SelfAttentionOptions{.dim = kDim, .heads = kHeads, .key_heads = kHeads, .head_dim = kHeadDim}, BlockPatterns{patterns, patterns}, init);
  }();
  TapeScope scope;
  const Variable out = mixer->forward(Variable::leaf(Tensor::empty({1, length, kDim}, DType::kF32, Device::meta())), sequence_of(1, length, {}, Device::meta()), {.training = true});
  scope.tape().backward(out, Tensor::empty(out.shape(), DType::kF32, Device::meta()));
  return device_memory(Device::meta()).report().total_peak;
}

TEST(BigBirdAttention, MemoryIsLinearInLength) {
  const int64_t a = planned_bytes(2048), b = planned_bytes(4096), c = planned_bytes(8192);
  EXPECT_NEAR(static_cast<double>(c - b) / static_cast<double>(b - a), 2.0, 0.2);
}

}  // namespace
}  // namespace longhaul::models
