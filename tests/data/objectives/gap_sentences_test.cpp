#include "data/objectives/sentences.h"
#include "tests/data/objectives/support.h"

namespace longhaul::data {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> sentences_of(const std::string& text, const std::shared_ptr<const Tokenizer>& tokenizer = bytes_tokenizer()) {
  const SentenceSplitter splitter(*tokenizer);
  const std::vector<int32_t> ids = tokenizer->encode(text);
  std::vector<std::string> out;
  int64_t at = 0;
  for (const TokenRun& run : splitter.split(ids)) {
    EXPECT_EQ(run.begin, at) << "runs follow each other";
    EXPECT_GT(run.end, run.begin);
    at = run.end;
    out.push_back(splitter.text(std::span(ids).subspan(static_cast<size_t>(run.begin), static_cast<size_t>(run.end - run.begin))));
  }
  EXPECT_EQ(at, static_cast<int64_t>(ids.size()));
  return out;
}

TEST(Sentences, EndBehindTheirMarks) {
  EXPECT_THAT(sentences_of("He came. She left! Who? Nobody"), ElementsAre("He came.", " She left!", " Who?", " Nobody"));
  EXPECT_THAT(sentences_of("\"Stop!\" he said. (Then silence.) No more."), ElementsAre("\"Stop!\" he said.", " (Then silence.)", " No more."));
  EXPECT_THAT(sentences_of("It cost 3.50 at No. 9. Good."), ElementsAre("It cost 3.50 at No.", " 9.", " Good."));
  EXPECT_THAT(sentences_of("Mr. Brown and J. S. Bach met Dr. Who."), ElementsAre("Mr. Brown and J. S. Bach met Dr. Who."));
  EXPECT_THAT(sentences_of("e.g. this. Or that"), ElementsAre("e.g. this.", " Or that"));
  EXPECT_THAT(sentences_of("A title\n\nA text of\ntwo lines. End.\n"), ElementsAre("A title\n", "\nA text of\ntwo lines.", " End.\n"));
  EXPECT_THAT(sentences_of("... !"), ElementsAre("... !"));
  EXPECT_TRUE(sentences_of("").empty());
}

TEST(Sentences, AreTheSameForEveryTokenizer) {
  const std::string text = prose(3);
  const auto expected = sentences_of(text);
  EXPECT_GT(expected.size(), 10u);
  const auto joined = [](const std::vector<std::string>& all) {
    std::string out;
    for (const auto& one : all) out += one;
    return out;
  };
  EXPECT_EQ(joined(expected), text);
  const auto bpe = sentences_of(text, trained({.kind = TokenizerKind::kBpe, .path = {}, .vocabulary_size = 340}, prose()));
  EXPECT_EQ(joined(bpe), text);
  EXPECT_EQ(bpe.size(), expected.size());
  const auto pieces = sentences_of(text, trained({.kind = TokenizerKind::kSentencePiece, .path = {}, .vocabulary_size = 320}, prose(60)));
  EXPECT_EQ(joined(pieces), text);
  EXPECT_EQ(pieces.size(), expected.size());
  EXPECT_GE(sentences_of(text, trained({.kind = TokenizerKind::kWord, .path = {}}, prose())).size(), 10u);
}

TEST(Sentences, ScoreIsTheOverlapWithTheRest) {
  // Words 3, 2, 3 of 8. The first shares "the", "sea" with the rest, the second nothing, the third likewise two.
  const auto scores = sentence_scores({"The sea rose.", "Ships sank.", "the Sea fell"});
  EXPECT_DOUBLE_EQ(scores[0], 2.0 * 2 / 8);
  EXPECT_DOUBLE_EQ(scores[1], 0);
  EXPECT_DOUBLE_EQ(scores[2], 2.0 * 2 / 8);
  EXPECT_DOUBLE_EQ(sentence_scores({"a a a", "a"})[0], 2.0 * 1 / 4) << "repetitions count as often as both have them";
  EXPECT_EQ(sentence_scores({"...", "!"}), (std::vector<double>{0, 0}));
}

class GapSentences : public ::testing::Test {
 protected:
  Scratch s;
  std::unique_ptr<Objective> objective;
  std::shared_ptr<const Samples> samples(const std::string& text, int64_t length, ObjectiveOptions options = {}) {
    options.kind = ObjectiveKind::kGapSentences;
    objective = make_objective(options, bytes_tokenizer());
    const Split split = objective->open("train", {entry(s.write("a", text))}, s.options());
    return objective->samples(split, {.sequence_length = length, .cross_documents = true, .seed = 1});
  }
  std::string source_text(const Batch& b) const {
    std::string out;
    for (const int32_t id : values(b.source)) {
      if (id == objective->tokenizer().special().end) break;
      out += id == objective->tokenizer().sentence_mask() ? "<gap>" : std::string(1, static_cast<char>(id));
    }
    return out;
  }
  std::string target_text(const Batch& b) const { return objective->tokenizer().decode(row(b.targets, 0, b.lengths[0])); }
};

TEST_F(GapSentences, TheBestSentencesGoInTheirOrder) {
  const auto all = samples("The sea rose. Ships sank. The sea fell. Birds.", 64, {.gap_share = 0.5, .target_length = 60});
  ASSERT_EQ(all->count(), 1);
  const Batch b = all->read(draws({0}));
  EXPECT_EQ(source_text(b), "<gap> Ships sank.<gap> Birds.");
  EXPECT_EQ(target_text(b), "The sea rose. The sea fell.");
  EXPECT_EQ(b.scored, static_cast<int64_t>(std::string("The sea rose. The sea fell.").size()) + 1) << "its end is scored too";
  EXPECT_EQ(values(b.tokens)[0], objective->start_of_target());
  EXPECT_EQ(values(b.tokens)[1], 'T');
}

TEST_F(GapSentences, OnlySentencesWithRoomAreTaken) {
  const Batch b = samples("The sea rose and rose. The sea. Ships sank.", 64, {.gap_share = 0.3, .target_length = 12})->read(draws({0}));
  EXPECT_EQ(source_text(b), "The sea rose and rose.<gap> Ships sank.");
  EXPECT_EQ(target_text(b), " The sea.");
  // Not one has room: the front of the best.
  const Batch cut = samples("The sea rose and rose. The sea fell too far.", 64, {.gap_share = 0.3, .target_length = 5})->read(draws({0}));
  EXPECT_EQ(target_text(cut).size(), 4u);
  EXPECT_EQ(cut.lengths[0], 5);
}

TEST_F(GapSentences, SourceAndTargetTogetherAreTheText) {
  const auto all = samples(prose(), 200);
  std::string text;
  for (int64_t i = 0; i < all->count(); ++i) {
    const Batch b = all->read(draws({i}));
    EXPECT_EQ(b.source.size(1), 200);
    EXPECT_EQ(b.tokens.size(1), 100);
    std::string source = source_text(b), target = target_text(b);
    EXPECT_NE(source.find("<gap>"), std::string::npos);
    // Each gap takes the next sentences of the target; their lengths together are what is missing.
    size_t gaps = 0;
    for (size_t at = source.find("<gap>"); at != std::string::npos; at = source.find("<gap>", at + 5)) ++gaps;
    text += source;
    EXPECT_LE(target.size(), 99u);
    if (i + 1 < all->count()) {
      EXPECT_EQ(source.size() - 5 * gaps + target.size(), 199u);
    }
  }
}

TEST_F(GapSentences, ATextWithoutAMarkIsOneSentence) {
  const Batch b = samples("no mark at all", 30)->read(draws({0}));
  EXPECT_EQ(source_text(b), "<gap>");
  EXPECT_EQ(target_text(b), "no mark at all");
}

}  // namespace
}  // namespace longhaul::data
