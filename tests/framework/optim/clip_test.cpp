#include "framework/optim/clip.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace longhaul::optim {
namespace {

Parameter with_gradient(const std::string& name, const std::vector<float>& gradient) {
  const Shape shape{static_cast<int64_t>(gradient.size())};
  Parameter parameter{name, Variable::parameter(Tensor::zeros(shape, DType::kF32, Device::cpu()))};
  parameter.variable.gradient().copy_from_host(gradient.data(), static_cast<int64_t>(gradient.size() * sizeof(float)));
  return parameter;
}

TEST(GradientNorm, IsTheRootOfAllSquares) {
  const std::vector<Parameter> parameters = {with_gradient("a", {3}), with_gradient("b", {0, 4})};
  const GradientNorm norm = GradientMeter(parameters).measure(parameters);
  EXPECT_DOUBLE_EQ(norm.norm, 5);
  EXPECT_TRUE(norm.finite());
}

TEST(GradientNorm, SurvivesSquaresThatF32CannotHold) {
  const std::vector<Parameter> parameters = {with_gradient("a", {3e30f}), with_gradient("b", {4e30f})};
  EXPECT_NEAR(GradientMeter(parameters).measure(parameters).norm / 5e30, 1, 1e-6);
}

TEST(GradientNorm, NamesTheFirstTensorThatIsNotFinite) {
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    const std::vector<Parameter> parameters = {with_gradient("a", {1}), with_gradient("b", {0, bad}),
                                               with_gradient("c", {bad})};
    const GradientNorm norm = GradientMeter(parameters).measure(parameters);
    EXPECT_FALSE(norm.finite());
    EXPECT_EQ(norm.first_bad, "b");
    EXPECT_FALSE(std::isfinite(norm.norm));
  }
}

TEST(GradientNorm, AParameterWithoutContributionCountsAsZero) {
  std::vector<Parameter> parameters = {with_gradient("a", {2}), with_gradient("b", {5})};
  parameters[1].variable.clear_gradient();
  EXPECT_DOUBLE_EQ(GradientMeter(parameters).measure(parameters).norm, 2);
}

TEST(Clip, ScalesDownToTheLimitOnly) {
  EXPECT_DOUBLE_EQ(clip_coefficient(0.5, 1), 1);
  EXPECT_DOUBLE_EQ(clip_coefficient(4, 1), 1 / (4 + 1e-6));
  EXPECT_DOUBLE_EQ(clip_coefficient(1e9, 0), 1);
  EXPECT_TRUE(std::isnan(clip_coefficient(std::nan(""), 1)));
}

TEST(NamePatterns, StarStandsForAnyText) {
  EXPECT_TRUE(matches("layers.0.attention.qkv.bias", "*bias"));
  EXPECT_TRUE(matches("layers.0.norm1.weight", "*norm*"));
  EXPECT_TRUE(matches("token_embedding.weight", "*embedding*"));
  EXPECT_TRUE(matches("layers.11.x", "layers.1?.x"));
  EXPECT_TRUE(matches("anything", "*"));
  EXPECT_TRUE(matches("aXbXc", "a*b*c"));
  EXPECT_FALSE(matches("layers.0.weight", "*bias"));
  EXPECT_FALSE(matches("bias.weight", "bias"));
  EXPECT_FALSE(matches("", "?"));
  EXPECT_TRUE(matches("", ""));
  EXPECT_FALSE(matches(std::string(2000, 'a'), "*a*a*a*a*a*b"));
}

}  // namespace
}  // namespace longhaul::optim
