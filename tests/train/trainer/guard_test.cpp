// Numbers that are not finite never reach the weights.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/train/trainer/tiny_run.h"

namespace longhaul::train {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(), kInf = std::numeric_limits<float>::infinity();

std::vector<std::string> bytes_of(const std::vector<optim::Parameter>& parameters) {
  std::vector<std::string> out;
  for (const optim::Parameter& p : parameters) {
    const Tensor& value = p.variable.value();
    out.emplace_back(static_cast<const char*>(value.raw()), static_cast<size_t>(value.bytes()));
  }
  return out;
}

struct Fault {
  const char* precision;
  const char* clip;
  int micro_batch;
  float value;
  std::string text() const {
    return fmt::format("{}, clip {}, micro-batches of {}, {}", precision, clip, micro_batch, value);
  }
};

/// Each precision, with and without clipping and accumulation, and each number that is none.
std::vector<Fault> all_faults() {
  std::vector<Fault> out;
  for (const char* precision : {"f32", "bf16"}) {
    for (const char* clip : {"0", "1"}) {
      for (const int micro_batch : {2, 4}) {
        for (const float value : {kNaN, kInf, -kInf}) out.push_back({precision, clip, micro_batch, value});
      }
    }
  }
  return out;
}

void configure(TinyRun& run, const Fault& fault) {
  run.overrides = {fmt::format("run.precision={}", fault.precision), fmt::format("train.clip_norm={}", fault.clip),
                   fmt::format("train.micro_batch={}", fault.micro_batch), "train.eval_every=0"};
}

TEST(Guard, ASkippedStepLeavesTheWeightsBitwiseUnchanged) {
  for (const Fault& fault : all_faults()) {
    TinyRun run("steps: 6");
    configure(run, fault);
    std::vector<std::string> at_third, at_fourth, at_fifth;
    run.probe = [&](int64_t step, const std::vector<optim::Parameter>& trained) {
      if (step == 3) trained.back().variable.gradient().data<float>()[0] = fault.value, at_third = bytes_of(trained);
      if (step == 4) at_fourth = bytes_of(trained);
      if (step == 5) at_fifth = bytes_of(trained);
    };
    EXPECT_EQ(run.session("run").exit_code, 0);
    EXPECT_EQ(at_third, at_fourth) << fault.text();
    EXPECT_NE(at_fourth, at_fifth);
    EXPECT_TRUE(run.record.steps.at(2).skipped);
    EXPECT_FALSE(run.record.steps.at(3).skipped);
    EXPECT_EQ(run.record.steps.back().skipped_steps, 1);
    EXPECT_EQ(run.record.steps.at(3).tokens, 4 * run.record.steps.at(0).tokens);  // the data moved on
  }
}

/// A weight that is no number makes activations, loss and gradients none: the steps that see it change nothing, and
/// once it is mended the run goes on.
TEST(Guard, WhatIsNotFiniteInForwardIsSkippedToo) {
  for (const Fault& fault : all_faults()) {
    TinyRun run("steps: 8");
    configure(run, fault);
    std::vector<std::string> damaged, later;
    float before = 0;
    run.probe = [&](int64_t step, const std::vector<optim::Parameter>& trained) {
      // The scale of a normalization: every activation behind it carries the fault, whatever the tokens.
      const auto norm = std::find_if(trained.begin(), trained.end(), [](const optim::Parameter& parameter) {
        return parameter.name.find("norm") != std::string::npos && parameter.name.ends_with("weight");
      });
      ASSERT_NE(norm, trained.end());
      float& weight = norm->variable.value().data<float>()[0];
      if (step == 3) before = weight, weight = fault.value, norm->variable.changed();
      if (step == 3) norm->variable.gradient().data<float>()[0] = kNaN;  // this step takes no update either
      if (step == 3) damaged = bytes_of(trained);
      if (step == 5) later = bytes_of(trained);
      if (step == 5) weight = before, norm->variable.changed();
    };
    EXPECT_EQ(run.session("run").exit_code, 0) << fault.text();
    EXPECT_EQ(damaged, later) << fault.text();
    for (size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(run.record.steps.at(i).skipped, i >= 2 && i <= 4) << fault.text() << ", step " << i + 1;
    }
  }
}

TEST(Guard, ADamagedWeightIsNeverTrainedOn) {
  TinyRun run("steps: 6");
  run.overrides = {"train.max_bad_steps=3", "train.eval_every=0"};
  run.probe = [](int64_t step, const std::vector<optim::Parameter>& trained) {
    if (step == 1) trained.at(0).variable.value().data<float>()[0] = kNaN;
    if (step == 1) trained.at(0).variable.changed();
  };
  EXPECT_EQ(run.exit_code("run"), 5);
}

TEST(Guard, ManyBadStepsInARowEndTheRunWithItsLastGoodState) {
  TinyRun run("steps: 30");
  run.overrides = {"train.max_bad_steps=4", "train.eval_every=0", "train.checkpoint.every=0"};
  std::string bad_name;
  run.probe = [&](int64_t step, const std::vector<optim::Parameter>& trained) {
    if (step >= 6) trained.at(2).variable.gradient().data<float>()[1] = kInf;
    bad_name = trained.at(2).name;
  };
  EXPECT_EQ(run.exit_code("run"), 5);
  EXPECT_NE(run.message.find(bad_name), std::string::npos) << run.message;
  EXPECT_NE(run.message.find("the last of 4"), std::string::npos) << run.message;
  EXPECT_EQ(run.record.end.status, "guard");
  EXPECT_EQ(run.record.end.exit_code, 5);
  EXPECT_EQ(run.record.steps.back().step, 9);

  // The weights are those of step 5.
  TinyRun good("steps: 30");
  good.overrides = run.overrides;
  good.session_stopped_after("run", 5);
  const auto tensors = [](const TinyRun& of, int64_t step) {
    const std::string file = content(of.checkpoint("run", step) / "model.safetensors");
    uint64_t header = 0;
    std::memcpy(&header, file.data(), 8);
    return file.substr(8 + header);
  };
  EXPECT_TRUE(tensors(run, 9) == tensors(good, 5));

  // The same command goes on, with all attempts again.
  run.probe = nullptr;
  EXPECT_EQ(run.exit_code("run"), 0);
  EXPECT_EQ(run.record.start.step, 9);
  EXPECT_EQ(run.record.steps.back().step, 30);
}

TEST(Guard, TheNextSessionHasAllItsAttemptsWhicheverSaveItGoesOnFrom) {
  TinyRun run("steps: 30");
  run.overrides = {"train.max_bad_steps=4", "train.eval_every=0", "train.checkpoint.every=1"};
  run.probe = [](int64_t step, const std::vector<optim::Parameter>& trained) {
    if (step >= 6) trained.at(2).variable.gradient().data<float>()[1] = kInf;
  };
  EXPECT_EQ(run.exit_code("run"), 5);
  EXPECT_EQ(run.record.steps.back().step, 9);
  EXPECT_EQ(run.exit_code("run"), 5);
  EXPECT_EQ(run.record.steps.back().step, 13);
}

TEST(Guard, BadStepsThatAreNotInARowDoNotEndTheRun) {
  TinyRun run("steps: 12");
  run.overrides = {"train.max_bad_steps=2", "train.eval_every=0"};
  run.probe = [](int64_t step, const std::vector<optim::Parameter>& trained) {
    if (step % 2 == 0) trained.at(0).variable.gradient().data<float>()[0] = kNaN;
  };
  EXPECT_EQ(run.exit_code("run"), 0);
  EXPECT_EQ(run.record.steps.back().skipped_steps, 6);
}

}  // namespace
}  // namespace longhaul::train
