// Decoding of encoder_decoders: greedy, sampled and with beams, each with a cache.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "models/led/options.h"
#include "models/model.h"
#include "train/generate/decoder.h"
#include "train/generate/generate.h"

namespace longhaul::train {
namespace {

std::unique_ptr<models::SequenceModel> pair_model(int64_t vocabulary, models::Positions positions = models::Positions::kLearned) {
  const models::FamilyInfo* info = models::find_family("transformer");
  auto options = info->make();
  models::BodyOptions& body = options->body;
  body.dim = 16, body.layers = 2, body.heads = 2, body.feedforward = 24, body.init_std = 0.4;
  body.positions = positions, body.max_positions = 12;
  info->resolve(*options, {.sequence_length = 12, .form = models::Form::kEncoderDecoder});
  models::ModelSpec spec;
  spec.options = options;
  spec.form = models::Form::kEncoderDecoder;
  spec.vocabulary = vocabulary;
  return models::make_sequence_model(spec, 7, Device::cpu());
}

const std::vector<int32_t> kSource = {1, 3, 2, 0, 1, 2, 3};

/// Logits after `target`, without any cache.
std::vector<float> last_logits(const models::SequenceModel& model, const std::vector<int32_t>& target) {
  const NoTapeScope quiet;
  models::ModelInputs source, inputs;
  source.tokens = Tensor::of<int32_t>({1, static_cast<int64_t>(kSource.size())}, kSource);
  inputs.tokens = Tensor::of<int32_t>({1, static_cast<int64_t>(target.size())}, target);
  const Tensor logits = model.logits(source, inputs, {}).value();
  const float* row = logits.data<float>() + (logits.size(1) - 1) * logits.size(2);
  return {row, row + logits.size(2)};
}

GenerateRequest request_of(int64_t max_new) {
  GenerateRequest request;
  request.prompt = {0};
  request.source = kSource;
  request.max_new = max_new;
  request.sampling.temperature = 0;
  return request;
}

TEST(Sources, GreedyDecodingTakesTheLikeliestTokenOfTheWholeTarget) {
  const auto model = pair_model(9);
  const Generation made = generate(*model, request_of(8));
  std::vector<int32_t> target = {0};
  double total = 0;
  for (const int32_t token : made.tokens) {
    const auto logits = last_logits(*model, target);
    EXPECT_EQ(token, choose_token(logits, {.temperature = 0}, 0));
    total += log_probability(logits, token);
    target.push_back(token);
  }
  EXPECT_EQ(made.tokens.size(), 8u);
  EXPECT_NEAR(made.log_probability, total, 1e-4);
}

TEST(Sources, SamplingFollowsTheSeed) {
  const auto model = pair_model(9);
  GenerateRequest request = request_of(10);
  request.sampling.temperature = 1;
  const auto first = generate(*model, request).tokens;
  EXPECT_EQ(first, generate(*model, request).tokens);
  request.seed = 2;
  EXPECT_NE(first, generate(*model, request).tokens);
}

TEST(Sources, AnotherSourceGivesAnotherTarget) {
  const auto model = pair_model(9);
  GenerateRequest request = request_of(8);
  const auto first = generate(*model, request).tokens;
  request.source = {5, 5, 5};
  EXPECT_NE(first, generate(*model, request).tokens);
}

void best_target(const models::SequenceModel& model, std::vector<int32_t> tokens, int64_t length, double so_far, std::pair<double, std::vector<int32_t>>& best) {
  if (length == 0) {
    if (so_far > best.first) best = {so_far, tokens};
    return;
  }
  const auto logits = last_logits(model, tokens);
  for (int32_t token = 0; token < model.spec().vocabulary; ++token) {
    tokens.push_back(token);
    best_target(model, tokens, length - 1, so_far + log_probability(logits, token), best);
    tokens.pop_back();
  }
}

TEST(Sources, EnoughBeamsFindTheMostLikelyTarget) {
  const auto model = pair_model(4);
  GenerateRequest request = request_of(3);
  request.beams = 16;
  const Generation made = generate(*model, request);
  std::pair<double, std::vector<int32_t>> best{-1e9, {}};
  best_target(*model, {0}, 3, 0, best);
  EXPECT_EQ(made.tokens, std::vector<int32_t>(best.second.begin() + 1, best.second.end()));
  EXPECT_NEAR(made.log_probability, best.first, 1e-4);
}

TEST(Sources, TheEndTokenEndsATarget) {
  const auto model = pair_model(9);
  GenerateRequest request = request_of(8);
  const auto all = generate(*model, request).tokens;
  request.end = all[4];
  const Generation made = generate(*model, request);
  EXPECT_TRUE(made.ended);
  EXPECT_EQ(made.tokens, std::vector<int32_t>(all.begin(), std::find(all.begin(), all.end(), all[4])));
}

TEST(Sources, ATargetEndsAtTheLastRowOfTheTable) {
  EXPECT_EQ(generate(*pair_model(9), request_of(50)).tokens.size(), 12u);
  EXPECT_EQ(generate(*pair_model(9, models::Positions::kRotary), request_of(50)).tokens.size(), 50u);
}

TEST(Sources, EachSideEndsAtTheLastRowOfItsOwnTable) {
  const auto led = [](int64_t source, int64_t target) {
    const models::FamilyInfo* info = models::find_family("led");
    auto options = std::make_shared<models::LedOptions>();
    models::BodyOptions& body = options->body;
    body.dim = 16, body.layers = 1, body.heads = 2, body.positions = models::Positions::kLearned, body.max_positions = source;
    options->window = {4}, options->decoder.max_positions = target;
    info->resolve(*options, {.sequence_length = source, .target_length = target, .form = models::Form::kEncoderDecoder});
    return models::make_sequence_model({.family = "led", .options = options, .form = models::Form::kEncoderDecoder, .vocabulary = 9, .head = {}, .memory = {}}, 7, Device::cpu());
  };
  EXPECT_EQ(generate(*led(12, 6), request_of(50)).tokens.size(), 6u);
  EXPECT_EQ(generate(*led(7, 20), request_of(50)).tokens.size(), 20u);
  EXPECT_THROW(generate(*led(6, 20), request_of(1)), ConfigError);  // the source has 7 tokens
}

TEST(Sources, WhatCannotBeReadIsRefused) {
  const auto model = pair_model(9);
  GenerateRequest request = request_of(1);
  request.source = {};
  EXPECT_THROW(generate(*model, request), ConfigError);
  request.source = {9};
  EXPECT_THROW(generate(*model, request), ConfigError);
  request.source.assign(13, 1);
  EXPECT_THROW(generate(*model, request), ConfigError);
}

// What beams do to a cache.
TEST(Sources, SelectedRowsGoOnAsTheirParents) {
  const auto model = pair_model(9);
  const NoTapeScope quiet;
  models::ModelInputs source;
  source.tokens = Tensor::of<int32_t>({2, 4}, {1, 2, 3, 4, 8, 7, 6, 5});
  source.valid = Tensor::of<uint8_t>({2, 4}, {1, 1, 1, 1, 1, 1, 1, 0});
  const auto state = model->start_decoding(source, 6, {});
  model->decode(Tensor::of<int32_t>({2, 2}, {0, 3, 0, 5}), *state, {});
  const int64_t parents[] = {1, 1, 0};
  ASSERT_TRUE(state->select(parents));
  EXPECT_EQ(state->batch(), 3);
  const Tensor found = model->decode(Tensor::of<int32_t>({3, 1}, {4, 2, 2}), *state, {});

  models::ModelInputs chosen, target;
  chosen.tokens = Tensor::of<int32_t>({3, 4}, {8, 7, 6, 5, 8, 7, 6, 5, 1, 2, 3, 4});
  chosen.valid = Tensor::of<uint8_t>({3, 4}, {1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1});
  target.tokens = Tensor::of<int32_t>({3, 3}, {0, 5, 4, 0, 5, 2, 0, 3, 2});
  const Tensor expected = model->logits(chosen, target, {}).value();
  for (int64_t b = 0; b < 3; ++b) {
    for (int64_t v = 0; v < 9; ++v) EXPECT_NEAR(found.data<float>()[b * 9 + v], expected.data<float>()[(b * 3 + 2) * 9 + v], 1e-5);
  }
}

}  // namespace
}  // namespace longhaul::train
