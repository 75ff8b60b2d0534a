// Batches and options at their ends, for every family with a sparse encoder: an exact result or a clear refusal.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "models/bigbird_pegasus/options.h"
#include "models/led/options.h"
#include "tests/support/mixer_check.h"

namespace longhaul::models {
namespace {

using testing::numbers_of;

constexpr int64_t kVocabulary = 11, kLongest = 24;

struct Family {
  const char* name;
  bool windows;  // windows and global tokens; else blocks
  bool decoder;  // behind the encoder
};

class EdgeInputs : public ::testing::TestWithParam<Family> {
 protected:
  using Set = std::function<void(FamilyOptions&)>;

  static std::unique_ptr<Model> model_of(const Set& set = {}) {
    const FamilyInfo* info = find_family(GetParam().name);
    const Form form = GetParam().decoder ? Form::kEncoderDecoder : Form::kEncoder;
    const ModelContext context{.sequence_length = kLongest, .target_length = 4, .form = form};
    auto options = info->make();
    BodyOptions& body = options->body;
    body.dim = 16, body.layers = 2, body.heads = 2, body.feedforward = 24, body.init_std = 0.3;
    if (GetParam().windows) windows_of(*options).window = {2};
    else blocks_of(*options).block = 3, blocks_of(*options).random_blocks = 1, blocks_of(*options).short_full = false;
    if (set) set(*options);
    info->resolve(*options, context);
    info->check(*options, context, [](std::string_view key, const std::string& what) { ADD_FAILURE() << key << " " << what; });
    ModelSpec spec;
    spec.family = GetParam().name, spec.options = options, spec.form = form, spec.vocabulary = kVocabulary;
    return make_any_model(spec, 5, Device::cpu());
  }
  static LongformerOptions& windows_of(FamilyOptions& options) { return dynamic_cast<LongformerOptions&>(options); }
  static BlockOptions& blocks_of(FamilyOptions& options) {
    if (GetParam().decoder) return dynamic_cast<BigBirdPegasusOptions&>(options).blocks;
    return dynamic_cast<BigBirdOptions&>(options).blocks;
  }

  /// Rows of these many tokens, each a beginning of one fixed text that differs by row, with padding up to `width`.
  static ModelBatch batch_of(const std::vector<int64_t>& lengths, int64_t width) {
    const auto rows = static_cast<int64_t>(lengths.size());
    const auto text = [](int64_t row, int64_t i) { return static_cast<int32_t>((3 * i + i / 4 + 5 * row) % kVocabulary); };
    std::vector<int32_t> tokens, targets;
    std::vector<uint8_t> valid;
    for (int64_t b = 0; b < rows; ++b) {
      for (int64_t i = 0; i < width; ++i) {
        const bool real = i < lengths[static_cast<size_t>(b)];
        tokens.push_back(real ? text(b, i) : 0);
        targets.push_back(real && i % 2 == 0 ? text(b, i + 1) : -1);
        valid.push_back(real);
      }
    }
    ModelInputs encoded;
    encoded.tokens = Tensor::of<int32_t>({rows, width}, tokens);
    encoded.valid = Tensor::of<uint8_t>({rows, width}, valid);
    ModelBatch out;
    if (!GetParam().decoder) {
      out.inputs = encoded;
      out.targets = Tensor::of<int32_t>({rows, width}, targets);
      return out;
    }
    out.source = encoded;
    std::vector<int32_t> shifted, wanted;
    for (int64_t b = 0; b < rows; ++b) {
      for (int64_t i = 0; i < 4; ++i) shifted.push_back(text(b, i + 2)), wanted.push_back(text(b, i + 3));
    }
    out.inputs.tokens = Tensor::of<int32_t>({rows, 4}, shifted);
    out.targets = Tensor::of<int32_t>({rows, 4}, wanted);
    return out;
  }

  /// Logits of the rows, those of padding left out.
  static std::vector<double> logits(const Model& model, const ModelBatch& batch) {
    const NoTapeScope quiet;
    std::vector<double> all = numbers_of(model.outputs(batch, {}).value());
    if (GetParam().decoder) return all;
    std::vector<double> out;
    for (int64_t i = 0; i < batch.inputs.valid.elements(); ++i) {
      if (batch.inputs.valid.data<uint8_t>()[i] != 0) out.insert(out.end(), all.begin() + i * kVocabulary, all.begin() + (i + 1) * kVocabulary);
    }
    return out;
  }
  /// Gradients of all parameters, of the summed loss of the rows from `first` on.
  static std::vector<double> gradients(const Model& model, ModelBatch batch) {
    TapeScope scope;
    const auto result = model.loss(batch, {}, {});
    for (const auto& p : model.parameters()) p.variable.clear_gradient();
    scope.tape().backward(result.loss, Tensor::of<float>({1}, {1.0f}));
    std::vector<double> out;
    for (const auto& p : model.parameters()) {
      if (!p.variable.needs_gradient()) continue;
      const std::vector<double> one = numbers_of(p.variable.gradient());
      out.insert(out.end(), one.begin(), one.end());
    }
    return out;
  }
  static void expect_near(const std::vector<double>& found, const std::vector<double>& expected, const char* what) {
    ASSERT_EQ(found.size(), expected.size()) << what;
    for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], 1e-4) << what << ", element " << i;
  }
};

TEST_P(EdgeInputs, NoTokensAreRefused) {
  const auto model = model_of();
  ModelBatch batch = batch_of({0, 0}, 0);
  EXPECT_THROW(model->outputs(batch, {}), ShapeError);
  try {
    model->loss(batch, {}, {});
    FAIL() << "0 tokens were taken";
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(), "[model] a sequence has no tokens: [2, 0]");
  }
}

TEST_P(EdgeInputs, OneTokenIsEnough) {
  const auto model = model_of();
  const ModelBatch batch = batch_of({1}, 1);
  for (const double value : logits(*model, batch)) ASSERT_TRUE(std::isfinite(value));
  double size = 0;
  for (const double value : gradients(*model, batch)) {
    ASSERT_TRUE(std::isfinite(value));
    size += std::abs(value);
  }
  EXPECT_GT(size, 0.1);
  // As in one block with padding behind it.
  expect_near(logits(*model, batch_of({1}, 3)), logits(*model, batch), "with padding");
}

TEST_P(EdgeInputs, ARowWithoutAKeyChangesNoOther) {
  const auto model = model_of();
  ModelBatch alone = batch_of({17}, 17), both = batch_of({17, 0}, 17);
  const std::vector<double> all = logits(*model, both), one = logits(*model, alone);
  for (const double value : all) ASSERT_TRUE(std::isfinite(value));
  expect_near({all.begin(), all.begin() + static_cast<int64_t>(one.size())}, one, "logits");
  // Nothing of the empty row is scored.
  for (int64_t i = 0; GetParam().decoder && i < 4; ++i) both.targets.data<int32_t>()[4 + i] = -1;
  expect_near(gradients(*model, both), gradients(*model, alone), "gradients");
  // A target over a source of padding alone is scored, and trains with finite numbers.
  for (const double value : gradients(*model, batch_of({0, 0}, 17))) ASSERT_TRUE(std::isfinite(value));
}

TEST_P(EdgeInputs, WhatIsWiderThanTheSequenceSeesAllOfIt) {
  const ModelBatch batch = batch_of({7, 5}, 7);
  if (GetParam().windows) {
    const auto with = [&](int64_t window) { return logits(*model_of([&](FamilyOptions& o) { windows_of(o).window = {window}; }), batch); };
    expect_near(with(1000000), with(7), "windows");
    EXPECT_NE(with(7), with(2));
  } else {
    const auto with = [&](int64_t block, bool sparse) {
      return logits(*model_of([&](FamilyOptions& o) { blocks_of(o).block = block, blocks_of(o).random_blocks = 0, blocks_of(o).sparse = sparse; }), batch);
    };
    expect_near(with(7, true), with(7, false), "a block of all");
    expect_near(with(1000, true), with(7, false), "a block of more");
    expect_near(with(4, true), with(7, false), "two blocks, of which the last is not full");
    EXPECT_NE(with(1, true), with(7, false));
  }
}

TEST_P(EdgeInputs, BlocksNeedNotDivideTheLength) {
  if (GetParam().windows) return;  // have no blocks
  // 16 tokens in blocks of 3 are as many in 18 places.
  const auto model = model_of();
  for (const int64_t length : {16, 17, 18}) expect_near(logits(*model, batch_of({length}, 18)), logits(*model, batch_of({length}, length)), "blocks");
}

TEST_P(EdgeInputs, WhereAllTokensAreGlobalTheWindowIsOfNoMatter) {
  if (!GetParam().windows) return;  // blocks have their own global tokens
  const ModelBatch batch = batch_of({13, 6}, 13);
  const auto with = [&](int64_t window, GlobalChoice choice) {
    const auto model = model_of([&](FamilyOptions& o) {
      windows_of(o).window = {window};
      windows_of(o).global_tokens = choice;
      if (choice == GlobalChoice::kList) windows_of(o).global_positions.resize(kLongest), std::iota(windows_of(o).global_positions.begin(), windows_of(o).global_positions.end(), 0);
    });
    ModelBatch marked = batch;
    Tensor& focus = GetParam().decoder ? marked.source.focus : marked.inputs.focus;
    focus = Tensor::of<uint8_t>({2, 13}, std::vector<uint8_t>(26, 1));  // padding too, which stays invisible
    for (const double value : gradients(*model, marked)) EXPECT_TRUE(std::isfinite(value));
    return logits(*model, marked);
  };
  const std::vector<double> expected = with(1, GlobalChoice::kList);
  expect_near(with(24, GlobalChoice::kList), expected, "listed");
  expect_near(with(0, GlobalChoice::kData), expected, "marked by the data");
  EXPECT_NE(with(1, GlobalChoice::kFirst), expected);
}

TEST_P(EdgeInputs, GlobalPositionsBehindAShortSequenceAreLeftOut) {
  if (!GetParam().windows) return;
  const auto with = [&](const std::vector<int64_t>& positions) {
    return logits(*model_of([&](FamilyOptions& o) { windows_of(o).global_tokens = GlobalChoice::kList, windows_of(o).global_positions = positions; }), batch_of({9}, 9));
  };
  expect_near(with({2, 9, 23}), with({2}), "positions");
  EXPECT_NE(with({2, 8}), with({2}));
}

const Family kFamilies[] = {{"longformer", true, false}, {"bigbird", false, false}, {"led", true, true}, {"bigbird_pegasus", false, true}};
INSTANTIATE_TEST_SUITE_P(Families, EdgeInputs, ::testing::ValuesIn(kFamilies), [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace longhaul::models
