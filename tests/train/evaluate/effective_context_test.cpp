#include "train/evaluate/effective_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "tests/train/small_model.h"
#include "train/evaluate/evaluate.h"

namespace longhaul::train {
namespace {

TEST(EffectiveContext, IsTheFirstLengthWhoseNextStepGainsTooLittle) {
  // Perplexity falls by 5 %, 5 %, 0.5 %, 5 %: what comes behind the small step does not count.
  LossesByContext model{{5, 5}};
  for (const double gain : {0.05, 0.05, 0.005, 0.05}) {
    std::vector<float> next = model.back();
    for (float& loss : next) loss += static_cast<float>(std::log1p(-gain));
    model.push_back(next);
  }
  const auto found = effective_context({model}, 1.0);
  EXPECT_EQ(found[0].steps, 3);
  EXPECT_FALSE(found[0].reached_end);
  ASSERT_EQ(found[0].gains.size(), 4u);
  EXPECT_NEAR(found[0].gains[1], 0.05, 1e-6);
  EXPECT_NEAR(found[0].gains[2], 0.005, 1e-6);

  model.erase(model.begin() + 3, model.end());
  EXPECT_TRUE(effective_context({model}, 1.0)[0].reached_end);
  EXPECT_EQ(effective_context({model}, 1.0)[0].steps, 3);
}

TEST(EffectiveContext, CountsOnlyWhatBeatsTheBestModelOfTheGroup) {
  // The second model gains much, but only up to what the first one knows with the short context.
  const LossesByContext strong{{1, 1}, {0.9f, 0.9f}}, weak{{4, 4}, {1, 1}};
  const auto found = effective_context({strong, weak}, 1.0);
  EXPECT_NEAR(found[0].gains[0], 1 - std::exp(-0.1), 1e-6);
  EXPECT_EQ(found[1].gains[0], 0);
  EXPECT_EQ(found[1].steps, 1);
  EXPECT_GT(effective_context({weak}, 1.0)[0].gains[0], 0.9);
}

TEST(EffectiveContext, TheShareTakesTheTargetsThatTheBestModelFindsHardest) {
  // Only the hardest of four targets gains.
  const LossesByContext model{{0.1f, 3, 0.2f, 0.3f}, {0.1f, 2, 0.2f, 0.3f}};
  EXPECT_NEAR(effective_context({model}, 0.25)[0].gains[0], 1 - std::exp(-1.0), 1e-6);
  EXPECT_NEAR(effective_context({model}, 1.0)[0].gains[0], 1 - std::exp(-0.25), 1e-6);
}

TEST(EffectiveContext, EveryContextScoresTheSameTargetsWithWhatItMayShow) {
  const auto model = small_model();
  const auto source = text_in_memory({std::string(40, 'a') + "The quick brown fox jumps.", "short"});
  const auto found = measure_effective_context({{"one", model.get()}}, source, {.step = 1, .longest = 8});
  EXPECT_EQ(found.targets, 40 + 26 - 9);
  // With steps of one token a target sees exactly c tokens, so a window of its own gives the same loss.
  for (const int64_t context : {3, 8}) {
    double sum = 0;
    evaluate(*model, source,
             {.protocol = EvaluationProtocol::kSliding, .context = context, .per_token = [&](const TokenLoss& t) {
                if (t.position >= 9) sum += t.nll;
              }});
    EXPECT_NEAR(found.losses[0][static_cast<size_t>(context - 1)], sum / static_cast<double>(found.targets), 1e-5);
  }
  const auto json = nlohmann::json::parse(to_json(found));
  EXPECT_EQ(json["models"][0]["effective_context"].size(), 3u);
  EXPECT_THAT(to_text(found), testing::HasSubstr("relative effective context length"));
}

TEST(EffectiveContext, WhatCannotBeMeasuredIsRefused) {
  const auto model = small_model();
  const auto source = text_in_memory({"The quick brown fox."});
  EXPECT_THROW(measure_effective_context({{"one", model.get()}}, source, {.step = 5, .longest = 9}), ConfigError);
  EXPECT_THROW(measure_effective_context({{"one", model.get()}}, source, {.step = 5, .longest = 20}), DataError);
}

}  // namespace
}  // namespace longhaul::train
