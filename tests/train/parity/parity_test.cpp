#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "framework/base/error.h"
#include "framework/checkpoint/safetensors.h"
#include "tests/train/temporary_folder.h"
#include "train/parity/runner.h"

namespace longhaul::train {
namespace {

using testing::HasSubstr;

const char* kDefinition =
    R"({"system":"made_up","kind":"definition","tolerance":{"out":1e-10,"grad":1e-9},"tolerance_f32":{"out":1e-5,"grad":1e-4}})";
const char* kModel =
    R"({"family":"made_up","tolerance":{"logits":1e-4,"loss":1e-5,"hidden":1e-4,"grad":1e-4,"grad_rel":1e-3}})";

Tensor f32(const Shape& shape, const std::vector<float>& values) { return Tensor::of<float>(shape, values); }
Tensor i64(const Shape& shape, const std::vector<int64_t>& values) { return Tensor::of<int64_t>(shape, values); }

TEST(Comparison, ADefinitionIsHeldToTheToleranceOfItsPrecision) {
  const TensorMap stored = {{"out.y", Tensor::of<double>({2}, {1.0, 2.0})}};
  const TensorMap near = {{"out.y", Tensor::of<double>({2}, {1.0, 2.000001})}};
  EXPECT_TRUE(compare_case(stored, near, kDefinition, false).passed);
  const Comparison strict = compare_case(stored, near, kDefinition, true);
  EXPECT_FALSE(strict.passed);
  EXPECT_THAT(strict.reason, HasSubstr("out.y differs by 5e-07 (tolerance 1e-10) at element 1"));
}

TEST(Comparison, ErrorsOfADefinitionCountAgainstTheLargestValue) {
  const TensorMap stored = {{"grad.w", f32({2}, {1000, 0})}};
  EXPECT_TRUE(compare_case(stored, {{"grad.w", f32({2}, {1000, 0.09f})}}, kDefinition, false).passed);
  EXPECT_FALSE(compare_case(stored, {{"grad.w", f32({2}, {1000, 0.11f})}}, kDefinition, false).passed);
}

TEST(Comparison, WholeNumbersMustBeEqual) {
  const TensorMap stored = {{"out.buckets", i64({3}, {4, 5, 6})}};
  EXPECT_TRUE(compare_case(stored, stored, kDefinition, false).passed);
  EXPECT_EQ(compare_case(stored, {{"out.buckets", i64({3}, {4, 5, 7})}}, kDefinition, false).reason,
            "out.buckets differs at element 2: 7, expected 6");
}

TEST(Comparison, MissingTensorsOtherShapesAndNumbersThatAreNotFiniteFail) {
  const TensorMap stored = {{"out.y", f32({2}, {1, 2})}};
  EXPECT_EQ(compare_case(stored, {}, kDefinition, false).reason, "out.y was not computed");
  EXPECT_EQ(compare_case(stored, {{"out.y", f32({2, 1}, {1, 2})}}, kDefinition, false).reason,
            "out.y has shape [2, 1], expected [2]");
  EXPECT_FALSE(compare_case(stored, {{"out.y", f32({2}, {1, NAN})}}, kDefinition, false).passed);
  EXPECT_FALSE(compare_case({{"out.y", f32({1}, {NAN})}}, {{"out.y", f32({1}, {NAN})}}, kDefinition, false).passed);
  EXPECT_FALSE(compare_case({{"in.x", f32({1}, {1})}}, {}, kDefinition, false).passed) << "nothing was compared";
}

TEST(Comparison, EveryDamagedValueOfADefinitionFails) {
  const std::vector<float> values = {0.5f, -1.25f, 0.0f, 3.0f};
  for (const char* name : {"out.y", "grad.w"}) {
    for (size_t at = 0; at < values.size(); ++at) {
      std::vector<float> damaged = values;
      damaged[at] += 0.01f;
      EXPECT_FALSE(compare_case({{name, f32({4}, damaged)}}, {{name, f32({4}, values)}}, kDefinition, false).passed)
          << name << " " << at;
    }
  }
}

TEST(Comparison, RowsOfPaddingAreNoPartOfAModelCase) {
  TensorMap stored = {{"attention_mask", i64({1, 3}, {1, 1, 0})}, {"out.logits", f32({1, 3, 1}, {1, 2, 3})}};
  EXPECT_TRUE(compare_case(stored, {{"out.logits", f32({1, 3, 1}, {1, 2, 99})}}, kModel, false).passed);
  EXPECT_FALSE(compare_case(stored, {{"out.logits", f32({1, 3, 1}, {1, 99, 3})}}, kModel, false).passed);
  // With a decoder the mask is the encoder's, even when the lengths are equal.
  stored["decoder_input_ids"] = i64({1, 3}, {0, 0, 0});
  EXPECT_FALSE(compare_case(stored, {{"out.logits", f32({1, 3, 1}, {1, 2, 99})}}, kModel, false).passed);
  stored["out.encoder_last_hidden_state"] = f32({1, 3, 1}, {1, 2, 3});
  EXPECT_TRUE(compare_case(stored,
                           {{"out.logits", f32({1, 3, 1}, {1, 2, 3})},
                            {"out.encoder_last_hidden_state", f32({1, 3, 1}, {1, 2, 99})}},
                           kModel, false)
                  .passed);
}

TEST(Comparison, MaskedScoresAreComparedRelatively) {
  const TensorMap stored = {{"out.logits", f32({2}, {-1e6f, 1})}};
  EXPECT_TRUE(compare_case(stored, {{"out.logits", f32({2}, {-1e6f + 50, 1})}}, kModel, false).passed);
  EXPECT_FALSE(compare_case(stored, {{"out.logits", f32({2}, {-1e6f + 500, 1})}}, kModel, false).passed);
  EXPECT_FALSE(compare_case(stored, {{"out.logits", f32({2}, {-1e6f, 1.001f})}}, kModel, false).passed);
}

TEST(Comparison, SmallGradientsAreAlsoHeldToTheirOwnSize) {
  const TensorMap stored = {
      {"grad.large", f32({1}, {1})}, {"grad.small", f32({1}, {1e-3f})}, {"grad.zero", f32({1}, {1e-8f})}};
  TensorMap computed = stored;
  computed["grad.zero"] = f32({1}, {2e-8f});  // rounding of an exact zero
  EXPECT_TRUE(compare_case(stored, computed, kModel, false).passed);
  computed["grad.small"] = f32({1}, {1.01e-3f});  // within the absolute tolerance, but one per cent off
  EXPECT_THAT(compare_case(stored, computed, kModel, false).reason, HasSubstr("grad.small differs by 0.01 of its"));
}

// A system that doubles its input.
class Doubler final : public models::ReferenceLoader {
 public:
  std::string_view system() const override { return "made_up"; }
  std::map<std::string, Tensor> run(const models::ReferenceCase& reference) const override {
    const Tensor& x = reference.tensors.at("in.x");
    if (x.size(0) > 3) throw models::UnsupportedCase("more than three numbers");
    const Tensor y = Tensor::empty(x.shape(), DType::kF32, Device::cpu());
    for (int64_t i = 0; i < x.elements(); ++i) y.data<float>()[i] = 2 * x.data<float>()[i];
    return {{"out.y", y}};
  }
};

class Runner : public testing::Test {
 protected:
  void write_case(const std::string& name, const std::vector<float>& x, const std::vector<float>& y,
                  const std::string& meta) {
    const auto folder = folder_.path() / name;
    io::make_folders(folder);
    const auto size = static_cast<int64_t>(x.size());
    checkpoint::write_safetensors(
        folder / "case.safetensors",
        std::vector<checkpoint::NamedTensor>{{"in.x", f32({size}, x)}, {"out.y", f32({size}, y)}}, {});
    io::write_new_file(folder / "meta.json", meta);
  }
  ParityResult run(const std::string& name) {
    const auto find = [this](std::string_view system) { return system == "made_up" ? &loader_ : nullptr; };
    return run_case({name, folder_.path() / name}, Device::cpu(), find, folder_.path() / "written");
  }
  TemporaryFolder folder_;
  Doubler loader_;
};

TEST_F(Runner, ACaseThatHoldsPassesAndOneWithADamagedValueFails) {
  write_case("a/good", {1, 2}, {2, 4}, kDefinition);
  write_case("a/bad", {1, 2}, {2, 4.01f}, kDefinition);
  EXPECT_EQ(run("a/good").status, ParityStatus::kPass);
  const ParityResult bad = run("a/bad");
  EXPECT_EQ(bad.status, ParityStatus::kFail);
  EXPECT_THAT(line_of(bad), HasSubstr("FAIL: out.y differs"));
  const checkpoint::SafetensorsReader written(folder_.path() / "written/a/good/computed.safetensors");
  EXPECT_EQ(written.read(written.entry("out.y")).data<float>()[1], 4);
}

TEST_F(Runner, WhatCannotBeRunIsUnsupportedWithItsReason) {
  write_case("other", {1}, {2}, R"({"system":"elsewhere","tolerance":{"out":1}})");
  write_case("long", {1, 2, 3, 4}, {2, 4, 6, 8}, kDefinition);
  EXPECT_EQ(run("other").reason, "no family of this build has the system \"elsewhere\"");
  EXPECT_EQ(run("long").status, ParityStatus::kUnsupported);
  EXPECT_EQ(run("long").reason, "more than three numbers");
}

TEST_F(Runner, ABrokenCaseFailsInsteadOfEndingTheRun) {
  write_case("no-json", {1}, {2}, "{");
  write_case("cut", {1}, {2}, kDefinition);
  std::filesystem::resize_file(folder_.path() / "cut/case.safetensors", 20);
  EXPECT_EQ(run("no-json").status, ParityStatus::kFail);
  EXPECT_EQ(run("cut").status, ParityStatus::kFail);
  EXPECT_NE(run("cut").reason, "");
}

TEST_F(Runner, CasesAreFoundAtAnyDepth) {
  write_case("b/x/deep", {1}, {2}, kDefinition);
  write_case("a", {1}, {2}, kDefinition);
  io::make_folders(folder_.path() / "empty");
  const auto found = find_cases(folder_.path());
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].name, "a");
  EXPECT_EQ(found[1].name, "b/x/deep");
  EXPECT_EQ(find_cases(folder_.path() / "a")[0].name, "a");
  EXPECT_THROW(find_cases(folder_.path() / "nowhere"), ConfigError);
}

}  // namespace
}  // namespace longhaul::train
