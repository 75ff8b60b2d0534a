#include "train/generate/generate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "tests/train/small_model.h"
#include "train/generate/text_stream.h"

namespace longhaul::train {
namespace {

const std::vector<int32_t> kPrompt = {84, 104, 101, 32};

// Logits after the last of these tokens, from a run over all of them.
std::vector<float> last_logits(const models::LanguageModel& model, const std::vector<int32_t>& tokens) {
  const NoTapeScope no_tape;
  const auto length = static_cast<int64_t>(tokens.size());
  const Variable logits = model.logits({Tensor::of<int32_t>({1, length}, tokens), {}, {}}, {});
  const int64_t vocabulary = model.spec().vocabulary;
  const float* row = logits.value().data<float>() + (length - 1) * vocabulary;
  return {row, row + vocabulary};
}

double log_p(const std::vector<float>& logits, int32_t token) {
  double total = 0;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit));
  return logits[static_cast<size_t>(token)] - std::log(total);
}

GenerateRequest greedy(int64_t max_new) {
  GenerateRequest request;
  request.prompt = kPrompt;
  request.max_new = max_new;
  request.sampling.temperature = 0;
  return request;
}

TEST(Choice, ZeroTemperatureTakesTheLargestAndTheFirstOfEquals) {
  EXPECT_EQ(choose_token(std::vector<float>{1, 3, 2, 3}, {.temperature = 0}, 0.9), 1);
  EXPECT_EQ(choose_token(std::vector<float>{NAN, -5, NAN}, {.temperature = 0}, 0.9), 1);
  EXPECT_THROW(choose_token(std::vector<float>{NAN, NAN}, {}, 0.5), FailureError);
}

TEST(Choice, SharesFollowTheProbabilities) {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.2f), std::log(0.3f)};
  const auto shares = [&](const SamplingOptions& options) {
    std::map<int32_t, double> found;
    for (int i = 0; i < 10000; ++i) found[choose_token(logits, options, (i + 0.5) / 10000)] += 1e-4;
    return found;
  };
  auto all = shares({});
  EXPECT_NEAR(all[0], 0.5, 1e-3);
  EXPECT_NEAR(all[1], 0.2, 1e-3);
  EXPECT_NEAR(all[2], 0.3, 1e-3);
  auto two = shares({.top_k = 2});
  EXPECT_NEAR(two[0], 0.5 / 0.8, 1e-3);
  EXPECT_EQ(two[1], 0);
  auto nucleus = shares({.top_p = 0.6});  // 0.5 alone does not reach it: the next one is kept too
  EXPECT_NEAR(nucleus[2], 0.3 / 0.8, 1e-3);
  EXPECT_EQ(nucleus[1], 0);
  EXPECT_NEAR(shares({.top_p = 0.4})[0], 1, 1e-9);
  auto sharp = shares({.temperature = 0.5});
  EXPECT_NEAR(sharp[0], 0.25 / 0.38, 1e-3);
}

TEST(Generation, GreedyDecodingEqualsTheModelRunAnewForEachToken) {
  for (const char* family : {"transformer", "local"}) {
    const auto model = small_model({.family = family});
    const Generation made = generate(*model, greedy(12));
    std::vector<int32_t> tokens = kPrompt;
    double total = 0;
    for (const int32_t token : made.tokens) {
      const auto logits = last_logits(*model, tokens);
      EXPECT_EQ(token, choose_token(logits, {.temperature = 0}, 0)) << family;
      total += log_p(logits, token);
      tokens.push_back(token);
    }
    EXPECT_EQ(made.tokens.size(), 12u);
    EXPECT_NEAR(made.log_probability, total, 1e-3);
  }
}

TEST(Generation, TheSeedDecidesAndTheThreadsDoNot) {
  const auto model = small_model();
  GenerateRequest request = greedy(20);
  request.sampling.temperature = 1;
  const auto first = generate(*model, request).tokens;
  const int threads = thread_count();
  set_thread_count(threads == 1 ? 2 : 1);
  EXPECT_EQ(generate(*model, request).tokens, first);
  set_thread_count(threads);
  request.seed = 2;
  EXPECT_NE(generate(*model, request).tokens, first);
}

TEST(Generation, TheEndTokenEndsIt) {
  const auto model = small_model();
  GenerateRequest request = greedy(12);
  const auto all = generate(*model, request).tokens;
  request.end = all[5];
  const Generation made = generate(*model, request);
  EXPECT_TRUE(made.ended);
  const auto first = std::find(all.begin(), all.end(), all[5]);
  EXPECT_EQ(made.tokens, std::vector<int32_t>(all.begin(), first));
}

TEST(Generation, AFullPositionTableGoesOnWithTheNewestHalf) {
  const auto model = small_model({.positions = models::Positions::kLearned, .max_positions = 8});
  const auto made = generate(*model, greedy(11)).tokens;
  ASSERT_EQ(made.size(), 11u);
  std::vector<int32_t> seen = kPrompt;  // what the model sees
  for (const int32_t token : made) {
    if (seen.size() == 9) seen.erase(seen.begin(), seen.end() - 4);
    EXPECT_EQ(token, choose_token(last_logits(*model, seen), {.temperature = 0}, 0));
    seen.push_back(token);
  }
}

TEST(Generation, OfAPromptThatIsTooLongTheEndIsSeen) {
  const auto model = small_model({.positions = models::Positions::kLearned, .max_positions = 8});
  GenerateRequest request = greedy(1);
  request.prompt = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  EXPECT_EQ(generate(*model, request).tokens[0],
            choose_token(last_logits(*model, {8, 9, 10, 11}), {.temperature = 0}, 0));
}

// All texts of `length` tokens, by exhaustion.
void best_text(const models::LanguageModel& model, std::vector<int32_t> tokens, int64_t length, double so_far,
               std::pair<double, std::vector<int32_t>>& best) {
  if (length == 0) {
    if (so_far > best.first) best = {so_far, tokens};
    return;
  }
  const auto logits = last_logits(model, tokens);
  for (int32_t token = 0; token < model.spec().vocabulary; ++token) {
    tokens.push_back(token);
    best_text(model, tokens, length - 1, so_far + log_p(logits, token), best);
    tokens.pop_back();
  }
}

TEST(Beams, EnoughOfThemFindTheMostLikelyText) {
  const auto model = small_model({.vocabulary = 4, .init_std = 0.6});
  GenerateRequest request;
  request.prompt = {1, 2};
  request.max_new = 3;
  request.beams = 16;  // all beginnings of two tokens
  const Generation made = generate(*model, request);
  std::pair<double, std::vector<int32_t>> best{-1e9, {}};
  best_text(*model, request.prompt, 3, 0, best);
  EXPECT_EQ(made.tokens, std::vector<int32_t>(best.second.begin() + 2, best.second.end()));
  EXPECT_NEAR(made.log_probability, best.first, 1e-4);
}

TEST(Beams, AreNeverLessLikelyThanGreedyDecodingHere) {
  const auto model = small_model();
  GenerateRequest request = greedy(8);
  const double one = generate(*model, request).log_probability;
  request.beams = 4;
  EXPECT_GE(generate(*model, request).log_probability, one);
}

TEST(Generation, IdsOutsideTheVocabularyAreRefused) {
  const auto model = small_model();
  GenerateRequest request = greedy(1);
  request.prompt = {300};
  EXPECT_THROW(generate(*model, request), ConfigError);
  request.prompt = {};
  EXPECT_THROW(generate(*model, request), ConfigError);
}

TEST(TextStream, GivesOnlyWholeCharacters) {
  const auto tokenizer = data::load_tokenizer({});
  TextStream stream(*tokenizer, {});
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80z";
  std::vector<std::string> pieces;
  for (const int32_t id : tokenizer->encode(text)) {
    const std::string piece = stream.add(id);
    if (!piece.empty()) pieces.push_back(piece);
  }
  EXPECT_EQ(pieces, (std::vector<std::string>{"a", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "z"}));
  EXPECT_EQ(stream.finish(), "");
}

TEST(TextStream, WhatNeverBecomesACharacterComesAtTheEnd) {
  const auto tokenizer = data::load_tokenizer({});
  TextStream stream(*tokenizer, {65});
  EXPECT_EQ(stream.add(0xE2), "");
  EXPECT_EQ(stream.add(0x82), "");
  EXPECT_EQ(stream.finish(), "\xE2\x82");
}

}  // namespace
}  // namespace longhaul::train
