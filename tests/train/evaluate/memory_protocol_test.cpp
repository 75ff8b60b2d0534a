#include <gtest/gtest.h>

#include <set>

#include "framework/base/error.h"
#include "tests/train/small_model.h"
#include "train/evaluate/evaluate.h"

namespace longhaul::train {
namespace {

const std::vector<std::string> kTexts = {"The quick brown fox jumps over the lazy dog.", "a", "0123456789 0123456789 0123456789"};

std::unique_ptr<models::LanguageModel> recurrent() {
  return small_model({.family = "transformer_xl", .positions = models::Positions::kNone});
}

TEST(MemoryProtocol, WithEnoughMemoryEqualsOneWindowForEachDocument) {
  const auto model = recurrent();
  const auto source = text_in_memory(kTexts);
  const auto whole = evaluate(*model, source, {.protocol = EvaluationProtocol::kBlock, .context = 64});
  for (const int64_t context : {1, 5, 64}) {
    std::set<std::pair<int64_t, int64_t>> seen;
    EvaluationRequest request{.protocol = EvaluationProtocol::kMemory, .context = context};
    request.per_token = [&seen](const TokenLoss& t) { EXPECT_TRUE(seen.emplace(t.document, t.position).second); };
    const auto carried = evaluate(*model, source, request);
    EXPECT_EQ(carried.tokens, whole.tokens);
    EXPECT_EQ(static_cast<int64_t>(seen.size()), whole.tokens);
    EXPECT_NEAR(carried.nats, whole.nats, 1e-4 * whole.nats) << context;
    EXPECT_EQ(carried.memory, 64);
    // A target's context is everything of its document before it.
    ASSERT_EQ(carried.by_context.size(), whole.by_context.size());
    for (size_t i = 0; i < whole.by_context.size(); ++i) EXPECT_EQ(carried.by_context[i].tokens, whole.by_context[i].tokens);
  }
}

TEST(MemoryProtocol, AShorterMemorySeesLess) {
  const auto model = recurrent();
  const auto source = text_in_memory(kTexts);
  const auto evaluate_with = [&](int64_t memory, bool cross) {
    return evaluate(*model, source, {.protocol = EvaluationProtocol::kMemory, .context = 4, .memory = memory, .cross_documents = cross});
  };
  const auto little = evaluate_with(3, false), much = evaluate_with(60, false);
  EXPECT_NE(little.nats, much.nats);
  EXPECT_EQ(little.memory, 3);
  EXPECT_LT(little.by_context.back().to, much.by_context.back().to);
  // One stream over all documents has more to see, and one more target at each border.
  EXPECT_GT(evaluate_with(60, true).tokens, much.tokens);
}

TEST(MemoryProtocol, NeedsAMemoryAndOneWindowAtATime) {
  EXPECT_THROW(evaluate(*small_model(), text_in_memory(kTexts), {.protocol = EvaluationProtocol::kMemory, .context = 4}), ConfigError);
  EXPECT_THROW(evaluate(*recurrent(), text_in_memory(kTexts), {.protocol = EvaluationProtocol::kMemory, .context = 4, .batch = 2}), ConfigError);
}

}  // namespace
}  // namespace longhaul::train
