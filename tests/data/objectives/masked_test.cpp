#include <cmath>
#include <map>
#include <set>

#include "data/objectives/masking.h"
#include "tests/data/objectives/support.h"

namespace longhaul::data {
namespace {

const WantedIds kMaskedIds{.rows = true, .begin = true, .end = true, .pad = true, .mask = true};
constexpr int32_t kMask = 259, kBegin = 257, kEnd = 258, kPad = 256;

std::vector<int32_t> ids(const std::string& text) { return bytes_tokenizer()->encode(text); }

class EveryMasking : public ::testing::TestWithParam<Masking> {
 protected:
  Masker masker(double share = 0.15) const { return {GetParam(), share, extend(bytes_tokenizer(), kMaskedIds)}; }
};

TEST_P(EveryMasking, TargetsAreTheHiddenTokensAndTheRestStays) {
  const std::vector<int32_t> text = ids(prose());
  for (uint64_t key = 0; key < 20; ++key) {
    const Masked m = masker().apply(text, 1, key);
    ASSERT_EQ(m.tokens.size(), text.size());
    int64_t hidden = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      if (m.targets[i] < 0) {
        EXPECT_EQ(m.tokens[i], text[i]);
      } else {
        EXPECT_EQ(m.targets[i], text[i]);
        ++hidden;
      }
    }
    const auto wanted = std::llround(0.15 * static_cast<double>(text.size()));
    if (GetParam() == Masking::kWholeWord) {  // whole words need not fill the number
      EXPECT_LE(hidden, wanted);
      EXPECT_GE(hidden, wanted - 3);
    } else {
      EXPECT_EQ(hidden, wanted);
    }
  }
}

TEST_P(EveryMasking, EightOfTenAreMaskedOneIsRandomOneStays) {
  const std::vector<int32_t> text = ids(prose());
  int64_t all = 0, masked = 0, same = 0, other = 0;
  for (uint64_t key = 0; key < 400; ++key) {
    const Masked m = masker().apply(text, 5, key);
    for (size_t i = 0; i < text.size(); ++i) {
      if (m.targets[i] < 0) continue;
      ++all;
      masked += m.tokens[i] == kMask;
      same += m.tokens[i] == m.targets[i];
      other += m.tokens[i] != kMask && m.tokens[i] != m.targets[i];
      EXPECT_TRUE(m.tokens[i] < 256 || m.tokens[i] == kMask) << "no other special id";
    }
  }
  // Within 4 sigma; runs are decided as a whole, so their decisions are fewer by the mean length.
  const double n = static_cast<double>(all) / (GetParam() == Masking::kSpan ? 4 : 1);
  const auto near = [&](int64_t count, double p) {
    EXPECT_NEAR(static_cast<double>(count) / static_cast<double>(all), p, 4 * std::sqrt(p * (1 - p) / n));
  };
  near(masked, 0.8);
  near(same, 0.1 + 0.1 / 256);
  near(other, 0.1 - 0.1 / 256);
}

TEST_P(EveryMasking, ChoicesFollowFromSeedAndKeyAlone) {
  const std::vector<int32_t> text = ids(prose());
  const Masked one = masker().apply(text, 3, 7), again = masker().apply(text, 3, 7);
  EXPECT_EQ(one.tokens, again.tokens);
  EXPECT_NE(one.targets, masker().apply(text, 3, 8).targets);
  EXPECT_NE(one.targets, masker().apply(text, 4, 7).targets);
}

TEST_P(EveryMasking, SpecialIdsAreNeverHidden) {
  std::vector<int32_t> text = ids("to be or not to be");
  text.insert(text.begin() + 5, {kBegin, kEnd, kMask});
  for (uint64_t key = 0; key < 50; ++key) {
    const Masked m = masker(0.9).apply(text, 1, key);
    for (size_t i = 5; i < 8; ++i) EXPECT_EQ(m.targets[i], -1);
    for (const int32_t target : m.targets) EXPECT_LT(target, 256);
  }
}

TEST_P(EveryMasking, ShortTextsHideOneToken) {
  const Masked m = masker().apply(ids("a"), 1, 1);
  EXPECT_EQ(m.targets, ids("a"));
  EXPECT_TRUE(masker().apply({}, 1, 1).targets.empty());
  const std::vector<int32_t> none = {kBegin, kEnd};
  EXPECT_EQ(masker().apply(none, 1, 1).tokens, none);
}

TEST_P(EveryMasking, AllOfAShareNearOneIsReached) {
  const std::vector<int32_t> text = ids("whales swim");
  const Masked m = masker(0.99).apply(text, 1, 1);
  int64_t hidden = 0;
  for (const int32_t target : m.targets) hidden += target >= 0;
  EXPECT_EQ(hidden, 11);
}

INSTANTIATE_TEST_SUITE_P(Maskings, EveryMasking, ::testing::Values(Masking::kToken, Masking::kWholeWord, Masking::kSpan),
                         [](const auto& info) {
                           return info.param == Masking::kToken ? "Token"
                                  : info.param == Masking::kSpan ? "Span"
                                                                 : "WholeWord";
                         });

TEST(WholeWords, AreHiddenFromTheirFirstToTheirLastToken) {
  const std::string text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen";
  const Masker masker(Masking::kWholeWord, 0.3, extend(bytes_tokenizer(), kMaskedIds));
  for (uint64_t key = 0; key < 50; ++key) {
    const Masked m = masker.apply(ids(text), 1, key);
    size_t begin = 0;
    while (begin < text.size()) {
      const size_t end = std::min(text.find(' ', begin), text.size());
      std::set<bool> hidden;
      for (size_t i = begin; i < end; ++i) hidden.insert(m.targets[i] >= 0);
      EXPECT_EQ(hidden.size(), 1u) << text.substr(begin, end - begin) << " with key " << key;
      begin = end + 1;
    }
  }
}

TEST(WholeWords, PiecesOfOneWordGoTogether) {
  TokenizerOptions options{.kind = TokenizerKind::kBpe, .path = {}, .vocabulary_size = 290};
  const auto tokenizer = extend(trained(options, prose()), kMaskedIds);
  const std::vector<int32_t> text = tokenizer->encode(prose(3));
  const Masked m = Masker(Masking::kWholeWord, 0.4, tokenizer).apply(text, 1, 9);
  int64_t hidden = 0;
  for (size_t i = 1; i < text.size(); ++i) {
    const std::string piece = tokenizer->decode({&text[i], 1}), before = tokenizer->decode({&text[i - 1], 1});
    const bool starts = piece[0] == ' ' || piece[0] == '\n' || before == " " || before == "\n";
    if (!starts) {
      EXPECT_EQ(m.targets[i] >= 0, m.targets[i - 1] >= 0) << "\"" << before << piece << "\"";
    }
    hidden += m.targets[i] >= 0;
  }
  EXPECT_GT(hidden, 20);
}

TEST(Spans, HaveTheMeanLengthOfTheGeometricDistribution) {
  const std::vector<int32_t> text(4000, 'x');
  const Masker masker(Masking::kSpan, 0.02, extend(bytes_tokenizer(), kMaskedIds));
  std::map<int64_t, int64_t> lengths;
  int64_t spans = 0, hidden = 0;
  for (uint64_t key = 0; key < 200; ++key) {
    const Masked m = masker.apply(text, 1, key);
    int64_t length = 0;
    for (const int32_t target : m.targets) {
      if (target >= 0) {
        ++length;
      } else if (length > 0) {
        ++lengths[length], ++spans, hidden += length, length = 0;
      }
    }
  }
  EXPECT_LE(lengths.rbegin()->first, 20) << "at most two of ten side by side";
  // Mean of min(geometric(0.2), 10) is 4.46; the last one of a text is cut to the number, neighbours join.
  EXPECT_NEAR(static_cast<double>(hidden) / static_cast<double>(spans), 4.46, 0.35);
}

class MaskedSamples : public ::testing::Test {
 protected:
  std::unique_ptr<Objective> objective = make_objective({.kind = ObjectiveKind::kMasked}, bytes_tokenizer());
  Scratch s;
  Split split(std::vector<std::string> documents) {
    std::vector<DataEntry> entries;
    for (size_t i = 0; i < documents.size(); ++i) entries.push_back(entry(s.write("d" + std::to_string(i), documents[i])));
    return objective->open("train", entries, s.options());
  }
};

TEST_F(MaskedSamples, RowsStandBetweenTheirMarks) {
  const auto samples = objective->samples(split({"abcdefghijklm", "no"}), {.sequence_length = 8, .cross_documents = true, .seed = 1});
  EXPECT_EQ(samples->count(), 3);  // 15 bytes, 6 a row
  const Batch b = samples->read(draws({0, 2}));
  EXPECT_EQ(b.tokens.shape(), Shape({2, 8}));
  EXPECT_THAT(b.lengths, testing::ElementsAre(8, 5));
  EXPECT_EQ(b.read, 13);
  EXPECT_EQ(values(b.tokens)[0], kBegin);
  EXPECT_EQ(values(b.tokens)[7], kEnd);
  EXPECT_EQ(row(b.tokens, 1, 8)[4], kEnd);
  EXPECT_EQ(row(b.tokens, 1, 8)[5], kPad);
  EXPECT_THAT(bits(b.valid), testing::ElementsAre(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0));
  EXPECT_EQ(b.scored, 2);
  for (const int64_t at : {0, 7, 8, 12, 13, 14, 15}) EXPECT_EQ(values(b.targets)[static_cast<size_t>(at)], -1);
  EXPECT_FALSE(samples->read(draws({0, 1})).valid.defined());
}

TEST_F(MaskedSamples, EveryTokenIsInOneRowAnEpoch) {
  for (const bool cross : {true, false}) {
    const auto samples = objective->samples(split({"abcdefghijklm", "no"}), {.sequence_length = 8, .cross_documents = cross, .seed = 1});
    std::string text;
    for (int64_t i = 0; i < samples->count(); ++i) {
      const Batch b = samples->read(draws({i}));
      for (int64_t at = 1; at + 1 < b.lengths[0]; ++at) {
        const int32_t target = values(b.targets)[static_cast<size_t>(at)];
        text += static_cast<char>(target >= 0 ? target : values(b.tokens)[static_cast<size_t>(at)]);
      }
    }
    EXPECT_EQ(text, "abcdefghijklmno");
    EXPECT_EQ(samples->count(), cross ? 3 : 4);
  }
}

TEST_F(MaskedSamples, AnotherEpochHidesOthers) {
  const auto samples = objective->samples(split({prose()}), {.sequence_length = 64, .cross_documents = true, .seed = 1});
  const std::vector<Draw> first = {{3, 3}}, next_epoch = {{3, 3 + static_cast<uint64_t>(samples->count())}};
  EXPECT_NE(values(samples->read(first).targets), values(samples->read(next_epoch).targets));
  EXPECT_EQ(values(samples->read(first).targets), values(samples->read(first).targets));
}

TEST_F(MaskedSamples, ARowDoesNotDependOnItsNeighbours) {
  const auto samples = objective->samples(split({prose()}), {.sequence_length = 32, .cross_documents = true, .seed = 1});
  const Batch together = samples->read(draws({4, 9, 1})), alone = samples->read(draws({9}));
  EXPECT_EQ(row(together.tokens, 1, 32), row(alone.tokens, 0, 32));
  EXPECT_EQ(row(together.targets, 1, 32), row(alone.targets, 0, 32));
}

}  // namespace
}  // namespace longhaul::data
