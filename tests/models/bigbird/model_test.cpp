#include "models/bigbird/model.h"

#include <gtest/gtest.h>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/pattern/builders.h"
#include "tests/support/encoder_check.h"
#include "tests/support/mixer_check.h"

namespace longhaul::models {
namespace {

BigBirdOptions& own(FamilyOptions& options) { return dynamic_cast<BigBirdOptions&>(options); }

void small_blocks(FamilyOptions& options) {
  auto& o = own(options);
  o.blocks.block = 2, o.blocks.random_blocks = 1, o.blocks.short_full = false;
}

TEST(BigBirdModel, GradientsOfAllParametersEqualFiniteDifferences) {
  testing::expect_model_gradients(testing::encoder_spec("bigbird", 15, small_blocks), 15);
  testing::expect_model_gradients(testing::encoder_spec("bigbird", 15, [](FamilyOptions& o) {
    small_blocks(o), own(o).blocks.extra_globals = 3;
  }), 15);
  testing::expect_model_gradients(testing::encoder_spec("bigbird", 15, [](FamilyOptions& o) {
    small_blocks(o);
    own(o).body.norm = NormPlacement::kPost, own(o).body.attention_bias = false, own(o).body.activation = Activation::kGeluTanh;
    own(o).layout = {.token_types = 2, .embedding_norm = true, .norm_after_dropout = true, .scale_embeddings = true, .head_transform = true};
  }), 15);
}

TEST(BigBirdModel, ExtraGlobalsReachEverythingAndTheHeadSeesTheSequenceAlone) {
  const auto model = make_model(testing::encoder_spec("bigbird", 40, [](FamilyOptions& o) { small_blocks(o), own(o).blocks.extra_globals = 3, own(o).blocks.random_blocks = 0; }), 5, Device::cpu());
  const NoTapeScope quiet;
  std::vector<int32_t> tokens(40, 3);
  const auto first_row = [&] {
    ModelInputs inputs;
    inputs.tokens = Tensor::of<int32_t>({1, 40}, tokens);
    const Tensor logits = model->logits(inputs, {}).value();
    EXPECT_EQ(logits.shape(), (Shape{1, 40, 11}));
    return std::vector<float>(logits.data<float>(), logits.data<float>() + 11);
  };
  const auto before = first_row();
  tokens[39] = 4;  // 19 blocks away: two layers of windows do not reach it, the global tokens do
  EXPECT_NE(first_row(), before);
}

TEST(BigBirdModel, ShortSequencesSeeEverything) {
  BlockOptions blocks{.block = 8, .random_blocks = 2};
  BodyOptions body;
  body.heads = 2;
  EXPECT_EQ(block_pattern(blocks, body, 0, Extent::square(72), true).hash(), pattern::dense(Extent::square(72)).hash());
  EXPECT_NE(block_pattern(blocks, body, 0, Extent::square(73), true).hash(), pattern::dense(Extent::square(73)).hash());
  blocks.short_full = false;
  EXPECT_NE(block_pattern(blocks, body, 0, Extent::square(72), true).hash(), pattern::dense(Extent::square(72)).hash());
}

TEST(BigBirdModel, LayersDrawTheirOwnBlocksAndEvaluationFollowsTheRule) {
  BlockOptions blocks;
  BodyOptions body;
  body.heads = 2, body.max_positions = 4096;
  const auto hash = [&](int layer, bool training) { return block_pattern(blocks, body, layer, Extent::square(2048), training).hash(); };
  for (const RandomRule rule : {RandomRule::kCounter, RandomRule::kPublic, RandomRule::kPublicTraining}) {
    blocks.random = rule;
    EXPECT_NE(hash(0, true), hash(1, true));
    EXPECT_EQ(hash(0, true) == hash(0, false), rule != RandomRule::kPublicTraining);
  }
  blocks.random = RandomRule::kCounter;
  const uint64_t seed0 = hash(0, true);
  blocks.random_seed = 1;
  EXPECT_NE(hash(0, true), seed0);
}

TEST(BigBirdOptionsTest, ConflictsAreNamed) {
  const auto said = [](const std::function<void(BigBirdOptions&)>& change, Form form = Form::kEncoder) {
    const ModelContext context{.sequence_length = 40, .form = form};
    return testing::complaints(testing::encoder_spec("bigbird", 40, [&](FamilyOptions& o) { change(own(o)); }, form), context);
  };
  EXPECT_EQ(said([](auto&) {}), "");
  EXPECT_EQ(said([](auto&) {}, Form::kDecoder),
            "family: is two-sided: its global blocks see the whole sequence and are seen by all, so a token would see the future; "
            "set data.objective = masked (or another one for encoders), or use longformer for a decoder");
  EXPECT_EQ(said([](auto& o) { o.blocks.random = RandomRule::kPublic, o.blocks.extra_globals = 4; }), "random: has no table for extra_globals; use model.random = counter");
  EXPECT_NE(said([](auto& o) { o.blocks.random = RandomRule::kPublic, o.blocks.block = 8, o.blocks.short_full = false; }).find("random: has no table here: [bigbird] 40 tokens in blocks of 8"), std::string::npos);
  EXPECT_EQ(said([](auto& o) { o.layout.norm_after_dropout = true; }), "norm_after_dropout: has no effect unless model.embedding_norm = true");
  EXPECT_EQ(said([](auto& o) { o.layout.position_offset = 2, o.body.positions = Positions::kNone; }), "position_offset: needs model.positions = learned");
}

}  // namespace
}  // namespace longhaul::models
