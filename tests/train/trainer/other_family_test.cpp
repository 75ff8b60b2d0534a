// Weights of another family or of other sizes: a run that would start from them says which tensor does not fit, and makes nothing.
#include <gmock/gmock.h>

#include <memory>

#include "tests/train/trainer/tiny_run.h"

namespace longhaul::train {
namespace {

using testing::HasSubstr;

/// A finished run of two steps, in "run".
std::unique_ptr<TinyRun> finished(const std::string& model, const std::string& objective) {
  auto out = std::make_unique<TinyRun>("steps: 2", model);
  out->overrides = {"data.objective=" + objective, "data.sequence_length=32"};
  EXPECT_EQ(out->exit_code("run"), 0) << out->message;
  return out;
}

std::string refusal(TinyRun& run, const TinyRun& from, const std::vector<std::string>& more = {}) {
  std::vector<std::string> set = {"run.init_from=" + (from.folder / "run").string()};
  set.insert(set.end(), more.begin(), more.end());
  EXPECT_EQ(run.exit_code("refused", set), 4);
  EXPECT_FALSE(fs::exists(run.folder / "refused" / "checkpoints" / "step-00000001"));
  return run.message;
}

TEST(OtherFamily, EncodersNameTheTensorThatDoesNotFit) {
  const auto longformer = finished("family: longformer, window: 4", "masked"), bigbird = finished("family: bigbird, block: 4, random_blocks: 1", "masked");
  EXPECT_THAT(refusal(*bigbird, *longformer), HasSubstr("the tensor \"layers.0.attention.key_value_global.bias\" is unknown to the model"));
  EXPECT_THAT(refusal(*longformer, *bigbird), HasSubstr("there is no tensor \"layers.0.attention.query_global.weight\", which the model has"));
  EXPECT_THAT(refusal(*bigbird, *bigbird, {"model.dim=32"}), HasSubstr("tensor \"token_embedding.weight\" has shape [260, 16], expected [260, 32]"));
  EXPECT_THAT(refusal(*longformer, *longformer, {"model.layers=3"}), HasSubstr("there is no tensor \"layers.2."));
  EXPECT_THAT(refusal(*longformer, *longformer, {"model.layers=1"}), HasSubstr("the tensor \"layers.1."));
}

TEST(OtherFamily, EncoderDecodersToo) {
  const auto led = finished("family: led, window: 4", "span_corruption"), pegasus = finished("family: bigbird_pegasus, block: 4, random_blocks: 1", "span_corruption");
  const auto longformer = finished("family: longformer, window: 4", "masked");
  EXPECT_THAT(refusal(*led, *pegasus), HasSubstr("there is no tensor \""));
  EXPECT_THAT(refusal(*pegasus, *led), HasSubstr("\""));
  EXPECT_THAT(refusal(*led, *longformer), HasSubstr("there is no tensor \""));
  EXPECT_THAT(refusal(*led, *led, {"model.decoder_layers=1"}), HasSubstr("the tensor \"decoder.layers.1."));
}

}  // namespace
}  // namespace longhaul::train
