#include "models/longformer/model.h"

#include <gtest/gtest.h>

#include <cstring>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/pattern/audit.h"
#include "tests/support/encoder_check.h"
#include "tests/support/mixer_check.h"

namespace longhaul::models {
namespace {

LongformerOptions& own(FamilyOptions& options) { return dynamic_cast<LongformerOptions&>(options); }

/// Every option of public encoders.
void public_layout(FamilyOptions& options) {
  auto& o = own(options);
  o.window = {2, 3};
  o.body.norm = NormPlacement::kPost;
  o.layout = {.token_types = 2, .position_offset = 3, .padding_token = 2, .embedding_norm = true, .head_transform = true};
}

TEST(LongformerModel, GradientsOfAllParametersEqualFiniteDifferences) {
  testing::expect_model_gradients(testing::encoder_spec("longformer", 14, [](FamilyOptions& o) { own(o).window = {2}; }), 14);
  // With padding_token the table's own row has two gradients, and the numeric one also sees the input: left out here.
  testing::expect_model_gradients(testing::encoder_spec("longformer", 14, [](FamilyOptions& o) { public_layout(o), own(o).layout.padding_token = -1; }), 14);
  testing::expect_model_gradients(testing::encoder_spec("longformer", 14, [](FamilyOptions& o) { own(o).window = {2}, own(o).dilation = {1, 2}, own(o).global_tokens = GlobalChoice::kNone; }), 14);
}

TEST(LongformerModel, PaddingTokensHaveNoPositionAndTrainNoVector) {
  const auto model = make_model(testing::encoder_spec("longformer", 14, [](FamilyOptions& o) { public_layout(o), own(o).window = {20}, own(o).layout.head_transform = false, own(o).body.tied_embeddings = false; }), 5, Device::cpu());
  const auto logits_of = [&](std::vector<int32_t> tokens) {
    const auto count = static_cast<int64_t>(tokens.size());
    std::vector<uint8_t> valid;
    for (const int32_t token : tokens) valid.push_back(token != 2);
    ModelInputs inputs;
    inputs.tokens = Tensor::of<int32_t>({1, count}, tokens), inputs.valid = Tensor::of<uint8_t>({1, count}, valid);
    return testing::numbers_of(model->logits(inputs, {}).value());
  };
  // Padding between the tokens moves them, but not their position vectors; the window sees all of them.
  const NoTapeScope quiet;
  const std::vector<double> plain = logits_of({5, 6, 7, 8}), behind = logits_of({5, 6, 7, 8, 2, 2}), between = logits_of({5, 2, 6, 7, 2, 8});
  for (size_t token = 0; token < 4; ++token) {
    const size_t places[] = {0, 2, 3, 5};
    for (size_t c = 0; c < 11; ++c) {
      EXPECT_NEAR(behind[token * 11 + c], plain[token * 11 + c], 1e-5);
      EXPECT_NEAR(between[places[token] * 11 + c], plain[token * 11 + c], 1e-5);
    }
  }
  TapeScope scope;
  ModelInputs inputs;
  inputs.tokens = Tensor::of<int32_t>({1, 4}, {5, 2, 6, 7});  // an unmasked padding id
  const auto result = model->loss(inputs, Tensor::of<int32_t>({1, 4}, {1, 2, 3, 4}), {}, {});
  for (const auto& p : model->parameters()) p.variable.clear_gradient();
  scope.tape().backward(result.loss, Tensor::of<float>({1}, {1.0f}));
  for (const auto& p : model->parameters()) {
    if (p.name != "token_embedding.weight" && p.name != "position_embedding.weight") continue;
    for (int64_t c = 0; c < 16; ++c) EXPECT_EQ(p.variable.gradient().data<float>()[2 * 16 + c], 0.0f) << p.name;
    EXPECT_NE(p.variable.gradient().data<float>()[5 * 16], 0.0f) << p.name;
  }
}

TEST(LongformerModel, ADecoderNeverSeesTheFuture) {
  // T3: a later token changes no earlier result, for windows of 1, a few and more than all, dilated or not.
  for (const int64_t window : {1, 4, 100}) {
    for (const std::vector<int64_t>& dilation : std::vector<std::vector<int64_t>>{{}, {1, 3}}) {
      const auto model = make_model(testing::encoder_spec("longformer", 40, [&](FamilyOptions& o) { own(o).window = {window}, own(o).dilation = dilation; }, Form::kDecoder), 5, Device::cpu());
      const NoTapeScope quiet;
      std::vector<int32_t> tokens;
      for (int i = 0; i < 40; ++i) tokens.push_back(i * 5 % 11);
      ModelInputs inputs;
      inputs.tokens = Tensor::of<int32_t>({1, 40}, tokens);
      const Tensor before = model->logits(inputs, {}).value();
      for (const int64_t t : {1, 20, 39}) {
        std::vector<int32_t> other = tokens;
        other[static_cast<size_t>(t)] = (other[static_cast<size_t>(t)] + 1) % 11;
        ModelInputs changed;
        changed.tokens = Tensor::of<int32_t>({1, 40}, other);
        const Tensor after = model->logits(changed, {}).value();
        EXPECT_EQ(std::memcmp(before.raw(), after.raw(), static_cast<size_t>(t * 11) * sizeof(float)), 0) << "window " << window << ", token " << t;
      }
    }
  }
}

TEST(LongformerModel, DecodingOneByOneEqualsTheWholeSequence) {
  const auto model = make_model(testing::encoder_spec("longformer", 40, [](FamilyOptions& o) { own(o).window = {3, 9}, own(o).dilation = {1, 2, 1, 3}; }, Form::kDecoder), 5, Device::cpu());
  const NoTapeScope quiet;
  std::vector<int32_t> tokens;
  for (int i = 0; i < 40; ++i) tokens.push_back(i * 5 % 11);
  ModelInputs inputs;
  inputs.tokens = Tensor::of<int32_t>({1, 40}, tokens);
  const Tensor whole = model->logits(inputs, {}).value();
  const auto state = model->start_decoding(1, 40, {});
  for (int64_t t = 0; t < 40; ++t) {
    const Tensor one = model->decode(Tensor::of<int32_t>({1, 1}, {tokens[static_cast<size_t>(t)]}), *state, {});
    for (int64_t c = 0; c < 11; ++c) EXPECT_NEAR(one.data<float>()[c], whole.data<float>()[t * 11 + c], 1e-5) << t;
  }
}

TEST(LongformerModel, AnEncoderDoesNotGenerate) {
  const auto model = make_model(testing::encoder_spec("longformer", 20, {}), 5, Device::cpu());
  EXPECT_THROW(model->start_decoding(1, 5, {}), ConfigError);
}

TEST(LongformerModel, SequencesWithoutTokensAreRefusedAndOneTokenIsEnough) {
  const auto model = make_model(testing::encoder_spec("longformer", 20, {}), 5, Device::cpu());
  ModelInputs inputs;
  inputs.tokens = Tensor::zeros({2, 0}, DType::kI32, Device::cpu());
  try {
    model->logits(inputs, {});
    FAIL() << "0 tokens were taken";
  } catch (const ShapeError& error) {
    EXPECT_STREQ(error.what(), "[model] a sequence has no tokens: [2, 0]");
  }
  inputs.tokens = Tensor::zeros({2, 1}, DType::kI32, Device::cpu());
  EXPECT_EQ(model->logits(inputs, {}).shape(), (Shape{2, 1, 11}));
}

TEST(LongformerOptionsTest, ConflictsAreNamed) {
  const auto said = [](const std::function<void(LongformerOptions&)>& change, Form form = Form::kEncoder) {
    const ModelContext context{.sequence_length = 20, .form = form};
    return testing::complaints(testing::encoder_spec("longformer", 20, [&](FamilyOptions& o) { change(own(o)); }, form), context);
  };
  EXPECT_EQ(said([](auto& o) { o.window = {3, 3, 3}; }), "window: has 3 values; expected one, or one for each of the 2 layers");
  EXPECT_EQ(said([](auto& o) { o.dilation = {1, 2, 3}; }), "dilation: has 3 values; expected one, one for each of the 2 heads, or one for each head of each of the 2 layers (4)");
  EXPECT_EQ(said([](auto& o) { o.global_tokens = GlobalChoice::kList, o.global_positions = {0, 20}; }), "global_positions: has position 20, which is out of range: sequences have 20 tokens, numbered from 0");
  EXPECT_EQ(said([](auto& o) { o.global_tokens = GlobalChoice::kList; }), "global_positions: is needed when model.global_tokens = list");
  EXPECT_EQ(said([](auto& o) { o.global_positions = {3}; }), "global_positions: has no effect unless model.global_tokens = list");
  EXPECT_EQ(said([](auto& o) { o.global_tokens = GlobalChoice::kFirst; }, Form::kDecoder),
            "global_tokens: would let a token see the future: in the second layer a global token has seen all of it; a decoder needs model.global_tokens = none");
  EXPECT_EQ(said([](auto& o) { o.window = {0}; }, Form::kDecoder), "window: of a decoder counts the query's own key: it is 1 or more");
  EXPECT_EQ(said([](auto& o) { o.body.kv_heads = 1, o.dilation = {1, 2}; }), "dilation: differs between heads that share keys: it needs model.kv_heads = model.heads");
  EXPECT_EQ(said([](auto& o) { o.body.positions = Positions::kRotary; }), "positions: turns queries and keys of one projection, and global rows have their own; use model.global_tokens = none, or other positions");
  EXPECT_EQ(said([](auto& o) { o.window = {1000}; }), "");  // more than the sequence: full attention
}

TEST(LongformerPicture, ShowsWindowsAndGlobalRowsAndColumns) {
  LongformerOptions options;
  options.window = {2};
  options.global_tokens = GlobalChoice::kList;
  options.global_positions = {9, 0};
  for (const int64_t n : {16, 150}) {
    const PatternAudit result = audit(longformer_picture(options, Form::kEncoder, Extent::square(n)), [](int64_t i, int64_t j, bool) {
      return std::abs(i - j) <= 2 || i == 0 || i == 9 || j == 0 || j == 9 ? 1.0f : 0.0f;
    });
    EXPECT_TRUE(result.exact) << result.first_difference;
  }
}

}  // namespace
}  // namespace longhaul::models
