#include "data/objectives/spans.h"

#include "tests/data/objectives/support.h"

namespace longhaul::data {
namespace {

TEST(SpanSizes, AreThoseOfThePublicRecipe) {
  // Raffel et al. 2020: inputs of 512 with density 0.15 and mean 3 come from 568 tokens and have targets of 114.
  EXPECT_EQ(longest_raw(512, 0.15, 3), 568);
  EXPECT_EQ(span_sizes(568, 0.15, 3).input, 512);
  EXPECT_EQ(span_sizes(568, 0.15, 3).target, 114);
}

TEST(SpanSizes, FollowTheFormula) {
  for (int64_t n = 2; n <= 600; ++n) {
    for (const double density : {0.05, 0.15, 0.5, 0.9}) {
      const SpanSizes sizes = span_sizes(n, density, 3);
      EXPECT_GE(sizes.hidden, 1);
      EXPECT_LE(sizes.hidden, n - 1);
      EXPECT_GE(sizes.spans, 1);
      EXPECT_LE(sizes.spans, std::min(sizes.hidden, n - sizes.hidden));
      EXPECT_EQ(sizes.input, n - sizes.hidden + sizes.spans + 1);
      EXPECT_EQ(sizes.target, sizes.hidden + sizes.spans + 1);
    }
  }
  EXPECT_EQ(span_sizes(10, 0.25, 3).hidden, 2) << "2.5 is rounded to the even neighbour";
  EXPECT_EQ(span_sizes(14, 0.25, 3).hidden, 4) << "3.5 likewise";
}

TEST(SpanSizes, TheLongestTextFits) {
  for (int64_t length = 3; length < 400; ++length) {
    const int64_t raw = longest_raw(length, 0.15, 3);
    EXPECT_LE(span_sizes(raw, 0.15, 3).input, length);
    EXPECT_GT(span_sizes(raw + 1, 0.15, 3).input, length);
  }
}

/// The text that input and target stand for.
std::vector<int32_t> restored(const std::vector<int32_t>& input, const std::vector<int32_t>& target, const ExtendedTokenizer& tokenizer) {
  const auto mark = [&](int32_t id) { return id >= tokenizer.sentinel(tokenizer.sentinels() - 1); };
  std::vector<int32_t> text;
  size_t at = 0;
  for (const int32_t id : input) {
    if (id == tokenizer.special().end) break;
    if (!mark(id)) {
      text.push_back(id);
      continue;
    }
    EXPECT_EQ(target.at(at), id) << "marks come in the same order";
    for (++at; target.at(at) != tokenizer.special().end && !mark(target.at(at)); ++at) text.push_back(target.at(at));
  }
  EXPECT_EQ(target.at(at), tokenizer.special().end);
  return text;
}

TEST(SpanCorruption, InputAndTargetTogetherAreTheText) {
  const auto tokenizer = extend(bytes_tokenizer(), {.end = true, .pad = true, .mask = true, .sentinels = 100});
  for (int64_t n = 2; n <= 600; n += n < 40 ? 1 : 17) {
    std::vector<int32_t> text;
    for (int64_t i = 0; i < n; ++i) text.push_back(static_cast<int32_t>(i % 251));
    const Spans spans = choose_spans(n, 0.15, 3, 5, static_cast<uint64_t>(n));
    const Corrupted c = corrupt(text, spans, *tokenizer);
    const SpanSizes sizes = span_sizes(n, 0.15, 3);
    EXPECT_EQ(static_cast<int64_t>(c.input.size()), sizes.input);
    EXPECT_EQ(static_cast<int64_t>(c.target.size()), sizes.target);
    EXPECT_EQ(c.target[0], tokenizer->sentinel(0));
    EXPECT_EQ(c.input[0], text[0]) << "starts with a kept run";
    EXPECT_EQ(restored(c.input, c.target, *tokenizer), text);
  }
}

TEST(SpanCorruption, CutsAreUniform) {
  // 3 hidden tokens in 2 runs: 1 + 2 or 2 + 1, each as often.
  int first = 0;
  for (uint64_t key = 0; key < 400; ++key) first += choose_spans(20, 0.15, 1.5, 1, key).hidden[0] == 1;
  EXPECT_NEAR(first, 200, 4 * 10);
}

TEST(SpanCorruption, RowsFillTheSourceAndTeachTheTarget) {
  const Scratch s;
  const auto objective = make_objective({.kind = ObjectiveKind::kSpanCorruption}, bytes_tokenizer());
  const auto& tokenizer = objective->tokenizer();
  EXPECT_EQ(tokenizer.vocabulary_size(), 256 + 3 + 100);  // pad, end, mask and the sentinels; the start is the pad id
  const Split split = objective->open("train", {entry(s.write("a", prose()))}, s.options());
  const auto samples = objective->samples(split, {.sequence_length = 60, .cross_documents = true, .seed = 2});
  std::string text;
  for (int64_t i = 0; i < samples->count(); ++i) {
    const Batch b = samples->read(draws({i}));
    EXPECT_EQ(b.source.shape(), Shape({1, 60}));
    EXPECT_EQ(b.tokens.shape(), Shape({1, target_length_of(objective->options(), 60)}));
    const int64_t length = b.lengths[0];
    EXPECT_EQ(b.scored, length);
    const auto input = row(b.tokens, 0, length), target = row(b.targets, 0, length);
    EXPECT_EQ(input[0], objective->start_of_target());
    EXPECT_EQ(std::vector<int32_t>(input.begin() + 1, input.end()), std::vector<int32_t>(target.begin(), target.end() - 1));
    for (int64_t at = length; at < b.targets.size(1); ++at) EXPECT_EQ(values(b.targets)[static_cast<size_t>(at)], -1);
    text += tokenizer.decode(restored(row(b.source, 0, 60), target, tokenizer));
    if (i + 1 < samples->count()) {
      EXPECT_FALSE(b.source_valid.defined()) << "all but the last fill the source";
    }
  }
  EXPECT_EQ(text, prose());
}

TEST(SpanCorruption, ARestOfOneTokenIsTaughtToo) {
  const Scratch s;
  const auto objective = make_objective({.kind = ObjectiveKind::kSpanCorruption}, bytes_tokenizer());
  const int64_t raw = longest_raw(20, 0.15, 3);
  const Split split = objective->open("train", {entry(s.write("a", std::string(static_cast<size_t>(raw), 'x') + "y"))}, s.options());
  const auto samples = objective->samples(split, {.sequence_length = 20, .cross_documents = true, .seed = 2});
  ASSERT_EQ(samples->count(), 2);
  const Batch b = samples->read(draws({1}));
  EXPECT_EQ(restored(row(b.source, 0, 20), row(b.targets, 0, b.lengths[0]), objective->tokenizer()), (std::vector<int32_t>{'y'}));
}

TEST(SpanCorruption, TooFewSentinelsAndTooShortTargetsAreRefused) {
  const Scratch s;
  const auto samples_of = [&](const ObjectiveOptions& options) {
    const auto objective = make_objective(options, bytes_tokenizer());
    const Split split = objective->open("train", {entry(s.write("a", prose()))}, s.options());
    return objective->samples(split, {.sequence_length = 200, .cross_documents = true, .seed = 2});
  };
  EXPECT_THAT(message_of<ConfigError>([&] { samples_of({.kind = ObjectiveKind::kSpanCorruption, .sentinels = 4}); }),
              testing::HasSubstr("there are 4 sentinels\n  hint: data.sentinels: 11"));
  EXPECT_THAT(message_of<ConfigError>([&] { samples_of({.kind = ObjectiveKind::kSpanCorruption, .target_length = 2}); }),
              testing::HasSubstr("data.target_length = 2 is too short"));
  // A shorter target than the source would give makes shorter pieces of text.
  const auto shorter = samples_of({.kind = ObjectiveKind::kSpanCorruption, .target_length = 20});
  EXPECT_LE(shorter->read(draws({0})).lengths[0], 20);
}

}  // namespace
}  // namespace longhaul::data
