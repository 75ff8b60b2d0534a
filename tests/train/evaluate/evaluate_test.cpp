#include "train/evaluate/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numbers>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "tests/train/small_model.h"
#include "tests/train/temporary_folder.h"
#include "train/evaluate/buckets.h"
#include "train/evaluate/reports.h"

namespace longhaul::train {
namespace {

const std::vector<std::string> kTexts = {"The quick brown fox jumps over the lazy dog.", "a", "Zwei W\xC3\xB6rter.",
                                         "0123456789 0123456789 0123456789 0123456789"};

/// -log p(bytes[at] | bytes[from, at)) from the logits of a run over just these bytes.
double loss_of(const models::LanguageModel& model, const std::string& text, int64_t from, int64_t at) {
  std::vector<int32_t> ids;
  for (int64_t i = from; i < at; ++i) ids.push_back(static_cast<uint8_t>(text[static_cast<size_t>(i)]));
  const NoTapeScope no_tape;
  const auto tokens = Tensor::of<int32_t>({1, at - from}, ids, model.device());
  const Variable logits = model.logits({tokens, {}, {}}, {});
  const float* row = logits.value().data<float>() + (at - from - 1) * 256;
  double total = 0;
  for (int v = 0; v < 256; ++v) total += std::exp(static_cast<double>(row[v]));
  return std::log(total) - row[static_cast<uint8_t>(text[static_cast<size_t>(at)])];
}

/// The window rule of the data spec, section 1.3, written out for one target: the first window sees everything before
/// it, a later one begins at a multiple of the stride.
int64_t context_start(int64_t target, int64_t context, int64_t stride) {
  if (target <= context) return 0;
  const int64_t window = (target - context + stride - 1) / stride;
  return window * stride;
}

class EveryProtocol : public testing::TestWithParam<std::pair<int64_t, int64_t>> {};

TEST_P(EveryProtocol, ScoresEachTargetOnceWithTheContextTheRuleGives) {
  const auto [context, stride] = GetParam();
  const auto model = small_model();
  double expected = 0;
  int64_t targets = 0;
  for (const std::string& text : kTexts) {
    for (int64_t at = 1; at < static_cast<int64_t>(text.size()); ++at, ++targets) {
      expected += loss_of(*model, text, context_start(at, context, stride), at);
    }
  }
  for (const int64_t batch : {0, 1, 3}) {
    std::map<std::pair<int64_t, int64_t>, int> seen;
    EvaluationRequest request{.protocol = EvaluationProtocol::kStrided, .context = context, .stride = stride};
    request.batch = batch;
    request.per_token = [&seen](const TokenLoss& t) { ++seen[{t.document, t.position}]; };
    const EvaluationResult result = evaluate(*model, text_in_memory(kTexts), request);
    EXPECT_EQ(result.tokens, targets);
    EXPECT_EQ(seen.size(), static_cast<size_t>(targets));
    for (const auto& [place, times] : seen) EXPECT_EQ(times, 1) << place.first << ":" << place.second;
    EXPECT_NEAR(result.nats, expected, 1e-4 * expected) << "batch " << batch;
    int64_t in_buckets = 0;
    for (const PositionLoss& bucket : result.by_position) in_buckets += bucket.tokens;
    EXPECT_EQ(in_buckets, targets);
  }
}

INSTANTIATE_TEST_SUITE_P(ContextAndStride, EveryProtocol,
                         testing::Values(std::pair<int64_t, int64_t>{8, 8}, std::pair<int64_t, int64_t>{8, 3},
                                         std::pair<int64_t, int64_t>{8, 1}, std::pair<int64_t, int64_t>{1, 1},
                                         std::pair<int64_t, int64_t>{64, 64}, std::pair<int64_t, int64_t>{43, 42}));

TEST(Evaluation, ProtocolsAreNamesForStrides) {
  const auto model = small_model();
  const auto source = text_in_memory(kTexts);
  const auto block = evaluate(*model, source, {.protocol = EvaluationProtocol::kBlock, .context = 8});
  EXPECT_EQ(block.stride, 8);
  const auto sliding = evaluate(*model, source, {.protocol = EvaluationProtocol::kSliding, .context = 8});
  EXPECT_EQ(sliding.stride, 1);
  const auto strided = evaluate(*model, source, {.protocol = EvaluationProtocol::kStrided, .context = 8, .stride = 8});
  EXPECT_EQ(strided.nats, block.nats);
  EXPECT_NE(sliding.nats, block.nats);
}

TEST(Evaluation, FiguresFollowFromTheSums) {
  const auto model = small_model();
  const EvaluationResult r = evaluate(*model, text_in_memory({"two words", "\xC3\xA4 b"}),
                                      {.protocol = EvaluationProtocol::kBlock, .context = 16});
  // The first byte of a document is not scored, and its text does not count either; a character and a word belong to
  // the token with its first byte.
  EXPECT_EQ(r.tokens, 8 + 3);
  EXPECT_EQ(r.bytes, 8 + 3);
  EXPECT_EQ(r.documents, 2);
  EXPECT_EQ(r.unscored, 2);
  EXPECT_DOUBLE_EQ(r.loss(), r.nats / 11);
  EXPECT_DOUBLE_EQ(r.perplexity(), std::exp(r.nats / 11));
  EXPECT_DOUBLE_EQ(r.bits_per_byte().value(), r.nats / std::numbers::ln2 / 11);
  EXPECT_DOUBLE_EQ(r.word_perplexity().value(), std::exp(r.nats / static_cast<double>(r.words)));
}

TEST(Evaluation, BitsPerByteByPositionAddUpToTheWhole) {
  const auto model = small_model();
  const EvaluationResult r =
      evaluate(*model, text_in_memory(kTexts), {.protocol = EvaluationProtocol::kBlock, .context = 8});
  double bits = 0;
  for (const PositionLoss& bucket : r.by_position) {
    ASSERT_TRUE(bucket.bits_per_byte.has_value());
    bits += *bucket.bits_per_byte * static_cast<double>(bucket.tokens);  // one byte a token
  }
  EXPECT_NEAR(bits / static_cast<double>(r.bytes), r.bits_per_byte().value(), 1e-12);
  EXPECT_THAT(to_text(r), testing::HasSubstr("nats/token  bits/byte"));
  EXPECT_THAT(loss_by_position_svg(r, "losses"), testing::HasSubstr("bits per byte"));
}

TEST(Evaluation, BucketsWithoutAllBytesOfTheTextHaveNoBitsPerByte) {
  LossBuckets buckets;
  buckets.add(1, 2.0, 3);
  buckets.add(2, 1.0, 1);
  ASSERT_EQ(buckets.means(4).size(), 2u);
  EXPECT_DOUBLE_EQ(buckets.means(4)[0].bits_per_byte.value(), 2.0 / (3 * std::numbers::ln2));
  EXPECT_FALSE(buckets.means(5)[0].bits_per_byte.has_value());
}

TEST(Evaluation, FiguresOfTextAreRefusedWhenTheTokenizerLosesText) {
  EvaluationResult r;
  r.nats = 10, r.tokens = 5, r.bytes = 20, r.characters = 20, r.words = 4;
  r.fidelity = data::Fidelity::kWords;
  EXPECT_TRUE(r.word_perplexity().has_value());
  EXPECT_FALSE(r.bits_per_byte().has_value());
  EXPECT_FALSE(r.bits_per_character().has_value());
  r.fidelity = data::Fidelity::kLossy;
  EXPECT_FALSE(r.word_perplexity().has_value());
  EXPECT_TRUE(nlohmann::json::parse(to_json(r))["bits_per_byte"].is_null());
}

TEST(Evaluation, JsonHasEveryPromisedField) {
  const auto model = small_model();
  const auto json = nlohmann::json::parse(
      to_json(evaluate(*model, text_in_memory(kTexts), {.protocol = EvaluationProtocol::kBlock, .context = 8})));
  for (const char* key : {"tokens", "bytes", "words", "documents", "loss", "perplexity", "word_perplexity",
                          "bits_per_byte", "bits_per_character", "context", "stride", "seconds", "tokens_per_second"}) {
    EXPECT_TRUE(json.at(key).is_number()) << key;
  }
  EXPECT_EQ(json["protocol"], "block");
  EXPECT_EQ(json["by_position"][1]["from"], 2);
  EXPECT_EQ(json["by_position"][1]["to"], 4);
}

TEST(Evaluation, AModelWithoutMemoryRefusesTheProtocolOfMemories) {
  const auto model = small_model();
  try {
    evaluate(*model, text_in_memory(kTexts), {.protocol = EvaluationProtocol::kMemory, .context = 8});
    FAIL() << "not refused";
  } catch (const ConfigError& error) {
    EXPECT_STREQ(error.what(),
                 "[eval] protocol memory carries state from window to window, which this model does not have\n"
                 "  hint: use block, strided or sliding");
  }
}

TEST(Evaluation, AVocabularyOfAnotherSizeIsRefused) {
  const auto model = small_model({.vocabulary = 300});
  EXPECT_THROW(evaluate(*model, text_in_memory(kTexts), {.protocol = EvaluationProtocol::kBlock, .context = 8}),
               ConfigError);
}

TEST(PerToken, LinesSpellTheirTokens) {
  TemporaryFolder folder;
  const auto source = text_in_memory({"x"});
  for (const char* name : {"losses.tsv", "losses.jsonl"}) {
    PerTokenFile file(folder.path() / name, source->tokenizer());
    file.add({.document = 2, .position = 7, .token = '\t', .nll = 0.5});
    file.add({.document = 2, .position = 8, .token = 'a', .nll = 1.25});
    file.finish();
  }
  const std::string tsv = io::read_file(folder.path() / "losses.tsv");
  EXPECT_THAT(tsv, testing::StartsWith("document\tposition\ttoken\tpiece\tnll\n2\t7\t9\t"));
  EXPECT_THAT(tsv, testing::EndsWith("\n2\t8\t97\ta\t1.25\n"));
  EXPECT_EQ(std::count(tsv.begin(), tsv.end(), '\n'), 3);
  const std::string lines = io::read_file(folder.path() / "losses.jsonl");
  EXPECT_THAT(lines, testing::EndsWith("{\"document\":2,\"position\":8,\"token\":97,\"piece\":\"a\",\"nll\":1.25}\n"));
}

TEST(LossByPosition, IsDrawnForDocumentAndContext) {
  EvaluationResult r;
  r.by_position = {{1, 2, 10, 3.0, {}}, {2, 4, 20, 2.5, {}}};
  r.by_context = {{1, 2, 10, 3.0, {}}, {2, 4, 20, 2.75, {}}};
  const std::string svg = loss_by_position_svg(r, "losses");
  EXPECT_THAT(svg, testing::HasSubstr(">in the document</text>"));
  EXPECT_THAT(svg, testing::HasSubstr(">visible to the model</text>"));
}

}  // namespace
}  // namespace longhaul::train
