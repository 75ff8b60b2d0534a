#include "models/longformer/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "framework/autograd/tape.h"
#include "framework/base/threads.h"
#include "framework/ops/support.h"
#include "framework/tensor/memory.h"
#include "tests/support/mixer_check.h"

namespace longhaul::models {
namespace {

using testing::Mixed;

struct Setting {
  int64_t heads = 2, head_dim = 8;
  LongformerWindow window{3, 3, {}};
  GlobalOptions globals{GlobalChoice::kData, {}};
  double dropout = 0;

  int64_t dim() const { return heads * head_dim; }
};

std::unique_ptr<GlobalWindowAttention> mixer_of(const Setting& s, DType dtype, Device device) {
  nn::Initializer init(1, device, dtype);
  const SelfAttentionOptions options{.dim = s.dim(), .heads = s.heads, .key_heads = s.heads, .head_dim = s.head_dim, .dropout = s.dropout, .layer = 2};
  const auto patterns = std::make_shared<PatternCache>([window = s.window](const Extent& extent, int64_t side) { return longformer_pattern(extent, window, side); });
  auto mixer = std::make_unique<GlobalWindowAttention>(options, s.globals, patterns, init);
  testing::set_parameters(*mixer, 0.3);
  return mixer;
}

/// Batch rows of different lengths and different global tokens.
struct Tokens {
  int64_t length = 0;
  std::vector<std::vector<int64_t>> globals;  // of each batch row
  std::vector<int64_t> lengths;               // of each batch row; empty: all full
  std::vector<int32_t> documents = {};        // [N] of every row, or empty

  int64_t batch() const { return static_cast<int64_t>(globals.size()); }
  bool valid(int64_t b, int64_t i) const { return lengths.empty() || i < lengths[static_cast<size_t>(b)]; }
  bool global(int64_t b, int64_t i) const { return valid(b, i) && std::ranges::count(globals[static_cast<size_t>(b)], i) > 0; }
  bool together(int64_t i, int64_t j) const { return documents.empty() || documents[static_cast<size_t>(i)] == documents[static_cast<size_t>(j)]; }

  SequenceInfo sequence(Device device) const {
    SequenceInfo out;
    out.batch = batch(), out.length = length;
    std::vector<uint8_t> focus, real;
    std::vector<int32_t> document;
    for (int64_t b = 0; b < batch(); ++b) {
      for (int64_t i = 0; i < length; ++i) {
        focus.push_back(std::ranges::count(globals[static_cast<size_t>(b)], i) > 0);
        real.push_back(valid(b, i));
        if (!documents.empty()) document.push_back(documents[static_cast<size_t>(i)]);
      }
    }
    out.focus = Tensor::of<uint8_t>({batch(), length}, focus, device);
    if (!lengths.empty()) out.valid = Tensor::of<uint8_t>({batch(), length}, real, device);
    if (!documents.empty()) out.documents = Tensor::of<int32_t>({batch(), length}, document, device);
    return out;
  }
};

/// The definition in plain loops: N x N, f64.
std::vector<double> oracle(const GlobalWindowAttention& mixer, const Setting& s, const Tokens& tokens, const std::vector<double>& hidden) {
  const int64_t n = tokens.length, width = s.dim(), d = s.head_dim;
  const auto part = [&](const char* name) { return testing::parameter(mixer, name); };
  const std::vector<double> qkv = testing::project(hidden, part("qkv.weight"), part("qkv.bias"), width);
  const std::vector<double> query_global = testing::project(hidden, part("query_global.weight"), part("query_global.bias"), width);
  const std::vector<double> key_value_global = testing::project(hidden, part("key_value_global.weight"), part("key_value_global.bias"), width);
  std::vector<double> mixed(hidden.size(), 0);
  for (int64_t b = 0; b < tokens.batch(); ++b) {
    const testing::HeadRows local{qkv.data() + b * n * 3 * width, 3 * width}, global{key_value_global.data() + b * n * 2 * width, 2 * width};
    for (int64_t h = 0; h < s.heads; ++h) {
      const int64_t step = s.window.dilation.empty() ? 1 : s.window.dilation[static_cast<size_t>(h)];
      for (int64_t i = 0; i < n; ++i) {
        if (!tokens.valid(b, i)) continue;
        std::vector<double> row;
        if (tokens.global(b, i)) {
          row = testing::dense_row(query_global.data() + (b * n + i) * width + h * d, global, h * d, global, width + h * d, n, d,
                                   [&](int64_t j) { return tokens.valid(b, j) && tokens.together(i, j) ? 1.0 : 0.0; });
        } else {
          row = testing::dense_row(local.at(i, h * d), local, width + h * d, local, 2 * width + h * d, n, d, [&](int64_t j) {
            if (!tokens.valid(b, j) || !tokens.together(i, j)) return 0.0;
            const bool near = (j - i) % step == 0 && (j - i) / step >= -s.window.left && (j - i) / step <= s.window.right;
            return near || tokens.global(b, j) ? 1.0 : 0.0;
          });
        }
        std::copy(row.begin(), row.end(), mixed.begin() + (b * n + i) * width + h * d);
      }
    }
  }
  return testing::project(mixed, part("out.weight"), part("out.bias"), width);
}

Tensor hidden_of(const Setting& s, const Tokens& tokens, DType dtype, Device device) { return testing::random_tensor({tokens.batch(), tokens.length, s.dim()}, 9, dtype, device); }

/// Reference against the definition, cpu against the reference, forward and every gradient.
void expect_exact(const Setting& s, const Tokens& tokens) {
  const auto exact = mixer_of(s, DType::kF64, Device::reference());
  const Tensor wide = hidden_of(s, tokens, DType::kF64, Device::reference());
  const Mixed reference = testing::run_mixer(*exact, wide, tokens.sequence(Device::reference()), {.compute = DType::kF64});
  EXPECT_LT(testing::distance(reference.out, oracle(*exact, s, tokens, testing::numbers_of(wide))), 1e-7);  // the scale of scores is an f32
  const auto fast = mixer_of(s, DType::kF32, Device::cpu());
  const Mixed cpu = testing::run_mixer(*fast, hidden_of(s, tokens, DType::kF32, Device::cpu()), tokens.sequence(Device::cpu()), {});
  EXPECT_LT(testing::distance(cpu.out, reference.out), 2e-5);
  EXPECT_LT(testing::distance(cpu.hidden_gradient, reference.hidden_gradient), 2e-5);
  for (size_t k = 0; k < cpu.gradients.size(); ++k) EXPECT_LT(testing::distance(cpu.gradients[k], reference.gradients[k]), 2e-5) << exact->parameters()[k].name;
}

std::vector<int64_t> all_of(int64_t n) {
  std::vector<int64_t> out;
  for (int64_t i = 0; i < n; ++i) out.push_back(i);
  return out;
}

TEST(GlobalWindow, EqualsTheDenseDefinition) {
  for (const int64_t n : {1, 2, 63, 64, 65, 130}) {
    SCOPED_TRACE(n);
    expect_exact({}, {n, {{}, {0}, {0, n / 2, n - 1}}, {}});
    expect_exact({.heads = 1, .head_dim = 16, .window = {40, 40, {}}}, {n, {{n / 3}, {}, {0}}, {n, (n + 1) / 2, 1}});
  }
  expect_exact({.heads = 3, .window = {5, 5, {1, 2, 3}}}, {101, {{}, {7, 50, 99}, {0}}, {101, 90, 11}});
  expect_exact({.window = {300, 300, {}}}, {209, {{100}, {3, 4, 5}, {}}, {}});
  expect_exact({}, {40, {all_of(40), {1}}, {}});                          // all tokens global beside one
  expect_exact({.window = {2, 2, {}}}, {50, {all_of(50), all_of(50)}, {50, 3}});  // all tokens of both rows
}

TEST(GlobalWindow, RowsWithoutTokensAreTheBias) {
  // A batch row of length 0 (T12): nothing is visible, the result is the output bias and nothing reaches its input.
  const Setting s;
  const Tokens tokens{33, {{0, 5}, {1}}, {0, 33}};
  expect_exact(s, tokens);
  const auto mixer = mixer_of(s, DType::kF64, Device::reference());
  const Mixed result = testing::run_mixer(*mixer, hidden_of(s, tokens, DType::kF64, Device::reference()), tokens.sequence(Device::reference()), {.compute = DType::kF64});
  const std::vector<double> bias = testing::parameter(*mixer, "out.bias");
  for (int64_t e = 0; e < 33 * s.dim(); ++e) {
    EXPECT_EQ(result.out[static_cast<size_t>(e)], bias[static_cast<size_t>(e % s.dim())]);
    EXPECT_EQ(result.hidden_gradient[static_cast<size_t>(e)], 0.0);
  }
}

TEST(GlobalWindow, AGlobalKeyInsideTheWindowCountsOnce) {
  for (int64_t offset = -4; offset <= 4; ++offset) expect_exact({.window = {3, 3, {}}}, {40, {{20 + offset}}, {}});
}

TEST(GlobalWindow, DocumentsDoNotSeeEachOther) {
  std::vector<int32_t> documents;
  for (int i = 0; i < 90; ++i) documents.push_back(i < 30 ? 0 : i < 77 ? 1 : 2);
  expect_exact({.window = {20, 20, {}}}, {90, {{0, 40}, {}, {80, 81}}, {}, documents});
}

TEST(GlobalWindow, GradientsEqualFiniteDifferences) {
  const Setting plain{.heads = 2, .head_dim = 4, .window = {3, 3, {}}}, dilated{.heads = 3, .head_dim = 4, .window = {2, 2, {1, 2, 3}}};
  for (const Setting& s : {plain, dilated}) {
    for (const Tokens& tokens : {Tokens{13, {{0, 7}, {4}}, {13, 9}}, Tokens{9, {{}, {}}, {}}}) {
      const auto mixer = mixer_of(s, DType::kF64, Device::reference());
      testing::expect_gradients(*mixer, hidden_of(s, tokens, DType::kF64, Device::reference()), tokens.sequence(Device::reference()), {.compute = DType::kF64});
    }
  }
}

TEST(GlobalWindow, WideWindowsAndAllGlobalAreFullAttention) {
  // T5: a window over everything equals all tokens global once both have the same projections.
  const Setting wide{.window = {100, 100, {}}}, none{.window = {0, 0, {}}};
  const Tokens local{50, {{}}, {}}, global{50, {all_of(50)}, {}};
  const auto a = mixer_of(wide, DType::kF64, Device::reference()), b = mixer_of(none, DType::kF64, Device::reference());
  const auto copy_rows = [&](const std::string& from, int64_t first, const std::string& to) {
    const auto find = [&](const std::string& name) {
      for (const auto& p : b->parameters()) {
        if (p.name == name) return p.variable.value();
      }
      return Tensor();
    };
    const Tensor source = find(from).slice(0, first, first + find(to).size(0)), target = find(to);
    target.copy_from_host(ops::dense(source).raw(), target.bytes());
  };
  for (const std::string kind : {".weight", ".bias"}) {
    copy_rows("qkv" + kind, 0, "query_global" + kind);
    copy_rows("qkv" + kind, wide.dim(), "key_value_global" + kind);
  }
  const Tensor hidden = hidden_of(wide, local, DType::kF64, Device::reference());
  const Mixed windowed = testing::run_mixer(*a, hidden, local.sequence(Device::reference()), {.compute = DType::kF64});
  const Mixed everywhere = testing::run_mixer(*b, hidden, global.sequence(Device::reference()), {.compute = DType::kF64});
  EXPECT_LT(testing::distance(everywhere.out, windowed.out), 1e-12);
}

TEST(GlobalWindow, PaddingAndBatchMatesDoNotShow) {
  const Setting s{.window = {10, 10, {}}};
  const auto mixer = mixer_of(s, DType::kF32, Device::cpu());
  const Tokens alone{70, {{0, 30}}, {}};
  const Tensor hidden = hidden_of(s, alone, DType::kF32, Device::cpu());
  const Mixed expected = testing::run_mixer(*mixer, hidden, alone.sequence(Device::cpu()), {});
  for (const int64_t more : {1, 63, 64, 128}) {
    const Tokens padded{70 + more, {{0, 30}, {1, 2, 3, 60}}, {70, 70 + more}};
    const Tensor wider = hidden_of(s, padded, DType::kF32, Device::cpu());
    std::memcpy(wider.raw(), hidden.raw(), static_cast<size_t>(hidden.bytes()));
    const Mixed found = testing::run_mixer(*mixer, wider, padded.sequence(Device::cpu()), {});
    EXPECT_LT(testing::distance({found.out.begin(), found.out.begin() + static_cast<int64_t>(expected.out.size())}, expected.out), 1e-6) << more;
  }
}

TEST(GlobalWindow, SameBitsForAnyNumberOfThreadsAndAgain) {
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    const Setting s{.heads = 3, .head_dim = 16, .window = {30, 30, {1, 2, 1}}, .dropout = 0.2};
    const auto mixer = mixer_of(s, DType::kF32, Device::cpu());
    const Tokens tokens{150, {{0, 50}, {}, {3, 4, 149}}, {150, 150, 120}};
    const Tensor hidden = ops::cast_tensor(hidden_of(s, tokens, DType::kF32, Device::cpu()), compute);
    const auto run = [&](int threads) {
      set_thread_count(threads);
      const auto wide = [](const Variable& x) { return testing::numbers_of(ops::cast_tensor(x.value(), DType::kF32)); };
      TapeScope scope;
      for (const auto& p : mixer->parameters()) p.variable.clear_gradient();
      const Variable input = Variable::leaf(hidden);
      const Variable out = mixer->forward(input, tokens.sequence(Device::cpu()), {.training = true, .seed = 5, .step = 6, .compute = compute});
      scope.tape().backward(out, ops::cast_tensor(testing::random_tensor(out.shape(), 4, DType::kF32, Device::cpu()), compute));
      std::vector<std::vector<double>> all{wide(out), testing::numbers_of(ops::cast_tensor(input.gradient(), DType::kF32))};
      for (const auto& p : mixer->parameters()) all.push_back(testing::numbers_of(p.variable.gradient()));
      set_thread_count(0);
      return all;
    };
    const auto one = run(1);
    for (const int threads : {1, 2, 5}) EXPECT_EQ(run(threads), one) << threads;
  }
}

TEST(GlobalWindow, DropoutOfOneRowDoesNotDependOnTheOthers) {
  // The reference and the fast kernel drop the same pairs.
  const Setting s{.window = {9, 9, {}}, .dropout = 0.3};
  const Tokens tokens{70, {{0, 9}, {5}}, {70, 60}};
  const nn::StepContext wide{.training = true, .seed = 5, .step = 6, .compute = DType::kF64}, narrow{.training = true, .seed = 5, .step = 6};
  const Mixed expected = testing::run_mixer(*mixer_of(s, DType::kF64, Device::reference()), hidden_of(s, tokens, DType::kF64, Device::reference()), tokens.sequence(Device::reference()), wide);
  const Mixed found = testing::run_mixer(*mixer_of(s, DType::kF32, Device::cpu()), hidden_of(s, tokens, DType::kF32, Device::cpu()), tokens.sequence(Device::cpu()), narrow);
  EXPECT_LT(testing::distance(found.out, expected.out), 2e-5);
  EXPECT_LT(testing::distance(found.hidden_gradient, expected.hidden_gradient), 2e-5);
}

int64_t planned_bytes(int64_t length) {
  const MetaMemoryScope memory;
  const Setting s{.heads = 2, .head_dim = 32, .window = {64, 64, {}}, .globals = {GlobalChoice::kFirst, {}}};
  nn::Initializer init(1, Device::meta(), DType::kF32);
  const SelfAttentionOptions options{.dim = s.dim(), .heads = s.heads, .key_heads = s.heads, .head_dim = s.head_dim};
  const auto patterns = std::make_shared<PatternCache>([&](const Extent& extent, int64_t side) { return longformer_pattern(extent, s.window, side); });
  const GlobalWindowAttention mixer(options, s.globals, patterns, init);
  SequenceInfo sequence;
  sequence.batch = 1, sequence.length = length;
  TapeScope scope;
  const int64_t before = device_memory(Device::meta()).report().total_peak;
  const Variable input = Variable::leaf(Tensor::empty({1, length, s.dim()}, DType::kF32, Device::meta()));
  const Variable out = mixer.forward(input, sequence, {.training = true});
  scope.tape().backward(out, Tensor::empty(out.shape(), DType::kF32, Device::meta()));
  return device_memory(Device::meta()).report().total_peak - before;
}

TEST(GlobalWindow, MemoryIsLinearInLength) {
  // T11: doubling the length doubles what is added.
  const int64_t a = planned_bytes(2048), b = planned_bytes(4096), c = planned_bytes(8192);
  EXPECT_NEAR(static_cast<double>(c - b) / static_cast<double>(b - a), 2.0, 0.2);
}

TEST(Globals, AreFoundByEveryChoice) {
  const Tokens tokens{6, {{1, 2}, {5}}, {6, 4}, {0, 0, 0, 1, 1, 1}};
  const SequenceInfo sequence = tokens.sequence(Device::cpu());
  const auto rows = [&](const GlobalOptions& options) {
    const GlobalTokens found = find_globals(options, sequence, Device::cpu());
    return found.count == 0 ? std::vector<int32_t>() : std::vector<int32_t>(found.rows.data<int32_t>(), found.rows.data<int32_t>() + found.rows.elements());
  };
  EXPECT_EQ(rows({GlobalChoice::kFirst, {}}), (std::vector<int32_t>{0, 3, 6, 9}));
  EXPECT_EQ(rows({GlobalChoice::kNone, {}}), std::vector<int32_t>());
  EXPECT_EQ(rows({GlobalChoice::kList, {4, 1, 99}}), (std::vector<int32_t>{1, 4, 7, -1}));  // row 1 has no token 4
  EXPECT_EQ(rows({GlobalChoice::kData, {}}), (std::vector<int32_t>{1, 2, -1, -1}));         // token 5 of row 1 is padding
}

}  // namespace
}  // namespace longhaul::models
