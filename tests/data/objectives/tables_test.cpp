// Objectives over rows of tables: what a row becomes, and every row that is refused.
#include "data/objectives/tables.h"

#include <cmath>

#include "data/objectives/answers.h"
#include "data/objectives/rows.h"
#include "tests/data/objectives/support.h"

namespace longhaul::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int32_t kPad = 256, kBegin = 257, kEnd = 258;  // of an encoder over bytes

TEST(Buckets, AreEighthsOfTheLongest) {
  EXPECT_EQ(bucket_width(5, 40), 40);
  EXPECT_EQ(bucket_width(1, 4096), 512);
  EXPECT_EQ(bucket_width(512, 4096), 512);
  EXPECT_EQ(bucket_width(513, 4096), 1024);
  EXPECT_EQ(bucket_width(4096, 4096), 4096);
  EXPECT_EQ(bucket_width(100, 200), 128);
  EXPECT_EQ(bucket_width(199, 200), 200);
}

class Tables : public ::testing::Test {
 protected:
  Scratch s;
  std::unique_ptr<Objective> objective;
  Split open(const ObjectiveOptions& options, const std::string& name, const std::string& content,
             const std::function<void(DataEntry&)>& change = {}) {
    objective = make_objective(options, bytes_tokenizer());
    DataEntry e = entry(s.write(name, content));
    if (change) change(e);
    return objective->open("valid", {e}, s.options());
  }
  std::shared_ptr<const Samples> samples(const Split& split, int64_t length) {
    return objective->samples(split, {.sequence_length = length, .cross_documents = true, .seed = 1});
  }
};

// ---- completion

TEST_F(Tables, TheTargetOfACompletionIsScoredBehindItsSource) {
  const Split split = open({.kind = ObjectiveKind::kCompletion}, "p.tsv", "source\ttarget\nabc\txy\nd\tz\n");
  const auto all = samples(split, 6);
  const SpecialIds ids = objective->tokenizer().special();
  const Batch b = all->read(draws({0, 1}));
  EXPECT_THAT(values(b.tokens), ElementsAre(ids.begin, 'a', 'b', 'c', 'x', 'y', ids.begin, 'd', 'z', ids.pad, ids.pad, ids.pad));
  EXPECT_THAT(bits(b.valid), ElementsAre(1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0));
  EXPECT_THAT(values(b.targets), ElementsAre(-1, -1, -1, 'x', 'y', ids.end, -1, 'z', ids.end, -1, -1, -1));
  EXPECT_EQ(b.scored, 5);
  EXPECT_EQ(b.read, 6 + 3);
  Score score;
  objective->score(split, b, Tensor::of<float>({12}, {0, 0, 0, 1, 1, 1, 0, 1, 1, 0, 0, 0}), Tensor::of<int32_t>({12}, {1, 1, 1, 'x', 'x', ids.end, 1, 1, ids.end, 1, 1, 1}), score);
  EXPECT_EQ(score.nats, 5);
  EXPECT_EQ(score.targets, 5);
  EXPECT_EQ(score.right, 3);
}

TEST_F(Tables, CompletionsThatDoNotFitAreRefusedOrLoseTheEndOfTheirSource) {
  const char* table = "source\ttarget\nabcd\txy\n";
  EXPECT_THAT(message_of<DataError>([&] { samples(open({.kind = ObjectiveKind::kCompletion}, "p.tsv", table), 6); }), HasSubstr("its source has 4 tokens, there is room for 3"));
  const ObjectiveOptions cut{.kind = ObjectiveKind::kCompletion, .too_long = TooLong::kCut};
  const Batch b = samples(open(cut, "p.tsv", table), 6)->read(draws({0}));
  EXPECT_THAT(values(b.tokens), ElementsAre(objective->tokenizer().special().begin, 'a', 'b', 'c', 'x', 'y'));
  EXPECT_THAT(message_of<DataError>([&] { samples(open(cut, "p.tsv", "source\ttarget\na\tuvwxyz\n"), 6); }), HasSubstr("the target of row 1 alone has 6 tokens"));
}

// ---- seq2seq

TEST_F(Tables, PairsBecomeSourceAndShiftedTarget) {
  const Split split = open({.kind = ObjectiveKind::kSeq2Seq, .target_length = 5}, "p.tsv", "source\ttarget\nabc\txy\nd\tz\n");
  const auto all = samples(split, 6);
  ASSERT_EQ(all->count(), 2);
  const int32_t pad = objective->tokenizer().special().pad, end = objective->tokenizer().special().end;
  EXPECT_EQ(objective->start_of_target(), pad) << "bytes have no begin id";
  const Batch b = all->read(draws({0, 1}));
  EXPECT_THAT(values(b.source), ElementsAre('a', 'b', 'c', end, pad, pad, 'd', end, pad, pad, pad, pad));
  EXPECT_THAT(bits(b.source_valid), ElementsAre(1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0));
  EXPECT_THAT(values(b.tokens), ElementsAre(pad, 'x', 'y', pad, pad, pad, 'z', pad, pad, pad));
  EXPECT_THAT(values(b.targets), ElementsAre('x', 'y', end, -1, -1, 'z', end, -1, -1, -1));
  EXPECT_EQ(b.scored, 5);
  EXPECT_EQ(b.read, 4 + 2 + 3 + 2);
  EXPECT_THAT(b.lengths, ElementsAre(3, 2));
}

TEST_F(Tables, ThePairColumnsCanBeNamed) {
  const Split split = open({.kind = ObjectiveKind::kSeq2Seq}, "p.jsonl", "{\"body\": \"ab\", \"title\": \"c\", \"n\": 3}\n",
                           [](DataEntry& e) { e.source = "body", e.target = "title"; });
  EXPECT_EQ(values(samples(split, 8)->read(draws({0})).source)[1], 'b');
  EXPECT_EQ(target_length_of(objective->options(), 8), 8) << "as long as the source unless it says otherwise";
}

TEST_F(Tables, TheStartOfATargetIsTheBeginIdWhereThereIsOne) {
  objective = make_objective({.kind = ObjectiveKind::kSeq2Seq}, bytes_tokenizer(4));
  EXPECT_EQ(objective->start_of_target(), 2);
  objective = make_objective({.kind = ObjectiveKind::kSeq2Seq, .decoder_start = 1}, bytes_tokenizer(4));
  EXPECT_EQ(objective->start_of_target(), 1);
}

TEST_F(Tables, BadPairsAreRefused) {
  const ObjectiveOptions options{.kind = ObjectiveKind::kSeq2Seq, .target_length = 4};
  const auto message = [&](const std::string& name, const std::string& content) {
    return message_of<DataError>([&] { samples(open(options, name, content), 8); });
  };
  EXPECT_THAT(message("a.tsv", "source\ttext\na\tb\n"), HasSubstr("has no column \"target\""));
  EXPECT_THAT(message("b.tsv", "source\ttarget\na\tb\nc\t\n"), HasSubstr("b.tsv: row 2 has nothing in column \"target\""));
  EXPECT_THAT(message("c.jsonl", "{\"source\": \"\", \"target\": \"x\"}\n"), HasSubstr("c.jsonl: row 1 has nothing in column \"source\""));
  EXPECT_THAT(message("d.txt", "source target"), HasSubstr("reads rows of .tsv or .jsonl files"));
  EXPECT_THAT(message("e.tsv", "source\ttarget\na\tb\n12345678\tb\n"),
              HasSubstr("row 2 of data.valid: its source has 8 tokens, there is room for 7\n  hint: a larger data.sequence_length, or data.too_long: cut"));
  EXPECT_THAT(message("f.tsv", "source\ttarget\na\t1234\n"), HasSubstr("row 1 of data.valid: its target has 4 tokens, there is room for 3"));
  ObjectiveOptions cut = options;
  cut.too_long = TooLong::kCut;
  const Batch b = samples(open(cut, "g.tsv", "source\ttarget\n12345678\t1234\n"), 8)->read(draws({0}));
  EXPECT_EQ(objective->tokenizer().decode(values(b.source)), "1234567");
  EXPECT_EQ(objective->tokenizer().decode(values(b.targets)), "123");
  EXPECT_EQ(b.scored, 4);
}

// ---- classify

TEST_F(Tables, TextsStandBetweenTheirMarksWithTheirClass) {
  const Split split = open({.kind = ObjectiveKind::kClassify, .labels = {"good", "bad"}}, "c.tsv", "text\tlabel\nab\tbad\nabcd\tgood\n");
  const Batch b = samples(split, 7)->read(draws({0, 1}));
  EXPECT_THAT(values(b.tokens), ElementsAre(kBegin, 'a', 'b', kEnd, kPad, kPad, kPad, kBegin, 'a', 'b', 'c', 'd', kEnd, kPad));
  EXPECT_THAT(bits(b.valid), ElementsAre(1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0));
  EXPECT_THAT(bits(b.focus), ElementsAre(1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0));
  EXPECT_THAT(values(b.targets), ElementsAre(1, 0));
  EXPECT_EQ(b.targets.shape(), Shape({2}));
  EXPECT_EQ(b.scored, 2);
  EXPECT_EQ(b.read, 10);
}

TEST_F(Tables, LabelsAreNumberedInOrder) {
  const auto labels = [&](const std::string& name, const std::string& content) {
    return labels_of("train", {entry(s.write(name, content))}, {});
  };
  EXPECT_THAT(labels("a.tsv", "text\tlabel\nx\tpear\ny\tapple\nz\tpear\n"), ElementsAre("apple", "pear"));
  EXPECT_THAT(labels("b.tsv", "text\tlabel\nx\t10\ny\t9\nz\t-1\n"), ElementsAre("-1", "9", "10"));
  EXPECT_THAT(labels("c.jsonl", "{\"text\": \"x\", \"label\": 2}\n{\"text\": \"x\", \"label\": 0}\n"), ElementsAre("0", "2"));
  EXPECT_THAT(labels("d.jsonl", "{\"text\": \"x\", \"label\": true}\n{\"text\": \"x\", \"label\": false}\n"), ElementsAre("false", "true"));
  EXPECT_THAT(message_of<DataError>([&] { labels("e.tsv", "text\tlabel\nx\ta\ny\ta\n"); }), HasSubstr("data.train has 1 different label"));
  EXPECT_THAT(message_of<DataError>([&] { labels("f.tsv", "text\tlabel\nx\ta\ny\t\n"); }), HasSubstr("f.tsv: row 2 has no label"));
}

TEST_F(Tables, BadTextsAndLabelsAreRefused) {
  const ObjectiveOptions options{.kind = ObjectiveKind::kClassify, .labels = {"good", "bad"}};
  const auto message = [&](const std::string& name, const std::string& content) {
    return message_of<DataError>([&] { samples(open(options, name, content), 8); });
  };
  EXPECT_THAT(message("a.tsv", "text\tclass\na\tgood\n"), HasSubstr("has no column \"label\""));
  EXPECT_THAT(message("b.tsv", "text\tlabel\na\tgood\nb\tugly\n"),
              HasSubstr("b.tsv: row 2 has the label \"ugly\", which is none of the 2 classes \"good\", \"bad\"\n  hint: classes are those of data.train"));
  EXPECT_THAT(message("c.tsv", "text\tlabel\n\tgood\n"), HasSubstr("c.tsv: row 1 has nothing in column \"text\""));
  EXPECT_THAT(message("d.tsv", "text\tlabel\n1234567\tgood\n"), HasSubstr("its text has 7 tokens, there is room for 6"));
  EXPECT_THAT(message("e.jsonl", "{\"text\": \"a\", \"label\": [1]}\n"), HasSubstr("e.jsonl:1: \"label\" is array, expected a string"));
}

TEST_F(Tables, AccuracyAndLossComeFromTheLogits) {
  const Split split = open({.kind = ObjectiveKind::kClassify, .labels = {"a", "b"}}, "c.tsv", "text\tlabel\nx\ta\ny\tb\nz\tb\n");
  Batch b = samples(split, 4)->read(draws({0, 1, 2}));
  Score score;
  objective->score(split, b, Tensor::of<float>({3, 2}, {2, 0, 0, 1, 3, 0}), {}, score);
  EXPECT_EQ(score.targets, 3);
  EXPECT_EQ(score.rows, 3);
  EXPECT_EQ(score.right, 2.0);
  EXPECT_NEAR(score.nats, std::log1p(std::exp(-2.0)) + std::log1p(std::exp(-1.0)) + std::log1p(std::exp(3.0)), 1e-6);
}

// ---- question answering

const char* const kQuestion = "{\"question\": \"Who?\", \"context\": \"The k\xC3\xB6nig, Ada, won.\", \"answer\": \"Ada\", \"start\": 11}\n";

TEST_F(Tables, AnswersBecomePositionsOfTheRow) {
  const Split split = open({.kind = ObjectiveKind::kQuestionAnswering}, "q.jsonl", kQuestion);
  ASSERT_EQ(split.answers.size(), 1u);
  const Batch b = samples(split, 64)->read(draws({0}));
  const std::vector<int32_t> tokens = row(b.tokens, 0, b.lengths[0]);
  EXPECT_EQ(b.lengths[0], 1 + 4 + 1 + 21 + 1);
  EXPECT_EQ(tokens[0], kBegin);
  EXPECT_EQ(tokens[5], kEnd);
  EXPECT_EQ(tokens.back(), kEnd);
  const std::vector<int32_t> span = values(b.targets);
  EXPECT_EQ(b.targets.shape(), Shape({1, 2}));
  EXPECT_EQ(objective->tokenizer().decode(std::span(tokens).subspan(static_cast<size_t>(span[0]), static_cast<size_t>(span[1] - span[0] + 1))), "Ada");
  EXPECT_EQ(b.scored, 2);
  const std::vector<int> focus = bits(b.focus);
  for (int i = 0; i < 28; ++i) EXPECT_EQ(focus[static_cast<size_t>(i)], i < 6) << i;
}

TEST_F(Tables, ThePredictedSpanLiesInTheContext) {
  const Split split = open({.kind = ObjectiveKind::kQuestionAnswering}, "q.jsonl", kQuestion);
  Batch b = samples(split, 64)->read(draws({0}));
  b.samples = {0};
  const int64_t width = b.tokens.size(1);
  std::vector<float> logits(static_cast<size_t>(2 * width), 0.0f);
  logits[0] = 50, logits[1] = 50;                      // the first token: no part of the context
  logits[static_cast<size_t>(2 * (b.lengths[0] - 1)) + 1] = 50;  // nor is the last
  const std::vector<int32_t> span = values(b.targets);
  logits[static_cast<size_t>(2 * span[0])] = 9;
  logits[static_cast<size_t>(2 * span[1] + 1)] = 8;
  logits[static_cast<size_t>(2 * (span[0] - 2)) + 1] = 9;  // an end before the start
  Score score;
  objective->score(split, b, Tensor::of<float>({1, width, 2}, logits), {}, score);
  EXPECT_EQ(score.exact, 1.0);
  EXPECT_EQ(score.f1, 1.0);
  EXPECT_EQ(score.targets, 2);
  EXPECT_NEAR(score.nats, (50 - 9) + (50 - 8) + std::log(2.0), 1e-4);
}

TEST_F(Tables, BadQuestionsAreRefused) {
  const ObjectiveOptions options{.kind = ObjectiveKind::kQuestionAnswering};
  const auto message = [&](const std::string& name, const std::string& content, int64_t length = 64) {
    return message_of<DataError>([&] { samples(open(options, name, content), length); });
  };
  EXPECT_THAT(message("a.jsonl", "{\"question\": \"Q\", \"context\": \"abc\", \"answer\": \"c\", \"start\": 1}\n"),
              HasSubstr("a.jsonl:1: the answer \"c\" does not stand at character 1 of its context"));
  EXPECT_THAT(message("b.jsonl", "{\"question\": \"Q\", \"context\": \"abc\", \"answer\": \"c\", \"start\": -1}\n"), HasSubstr("does not stand at character -1"));
  EXPECT_THAT(message("c.jsonl", "{\"question\": \"Q\", \"context\": \"abc\", \"answer\": \"c\", \"start\": 99}\n"), HasSubstr("does not stand at character 99"));
  EXPECT_THAT(message("d.jsonl", "\n{\"question\": \"Q\", \"context\": \"abc\", \"answer\": \"c\"}\n"), HasSubstr("d.jsonl:2: \"start\" must be a whole number"));
  EXPECT_THAT(message("e.jsonl", "{\"question\": \"Q\", \"context\": \"abc\", \"answer\": \"\", \"start\": 0}\n"), HasSubstr("e.jsonl:1: \"answer\" is empty"));
  EXPECT_THAT(message("f.jsonl", "{\"question\": \"Q\", \"answer\": \"c\", \"start\": 0}\n"), HasSubstr("f.jsonl:1: no \"context\" in this object"));
  EXPECT_THAT(message("g.jsonl", "{\"question\": \"\", \"context\": \"abc\", \"answer\": \"c\", \"start\": 2}\n"), HasSubstr("g.jsonl: row 1 has nothing in column \"question\""));
  EXPECT_THAT(message("h.tsv", "question\tcontext\tanswer\tstart\nQ\tabc\tc\t2\n"), HasSubstr("reads .jsonl files, an object a line"));
  EXPECT_THAT(message("i.jsonl", kQuestion, 20), HasSubstr("its context has 21 tokens, there is room for 13"));
  EXPECT_THAT(message("j.jsonl", kQuestion, 7), HasSubstr("its question has 4 tokens, there is room for 3"));
  ObjectiveOptions cut = options;
  cut.too_long = TooLong::kCut;
  const Split split = open(cut, "k.jsonl", kQuestion);
  const Batch lost = samples(split, 18)->read(draws({0}));  // the context ends before its answer
  EXPECT_THAT(values(lost.targets), ElementsAre(-1, -1));
  EXPECT_EQ(lost.scored, 0);
  EXPECT_EQ(samples(split, 24)->read(draws({0})).scored, 2);
}

TEST(Answers, TokensOfPiecesThatReachOverTheEnds) {
  const auto bpe = trained({.kind = TokenizerKind::kBpe, .path = {}, .vocabulary_size = 340}, prose());
  const std::string text = prose(2);
  for (const std::string answer : {"whale", "the morning", "Mr. Brown"}) {
    const size_t at = text.find(answer);
    for (const auto& tokenizer : {std::shared_ptr<const Tokenizer>(bpe), bytes_tokenizer(), trained({.kind = TokenizerKind::kSentencePiece, .path = {}, .vocabulary_size = 320}, prose(60)),
                                  trained({.kind = TokenizerKind::kWord, .path = {}}, prose())}) {
      const TokenSpan span = answer_span(*tokenizer, text, at, at + answer.size());
      const auto ids = tokenizer->encode(text);
      const std::string found = tokenizer->decode(std::span(ids).subspan(static_cast<size_t>(span.first), static_cast<size_t>(span.last - span.first + 1)));
      EXPECT_NE(found.find(answer), std::string::npos) << name_of(tokenizer->kind()) << ": " << found;
      EXPECT_LE(found.size(), answer.size() + 12) << found;
    }
  }
}

TEST(Answers, AreComparedAsTheBenchmarkDoes) {
  EXPECT_EQ(normalized_answer(" The  King's, an \"Apple\"!\n"), "kings apple");
  EXPECT_EQ(normalized_answer("\xC3\x84pfel"), "\xC3\xA4pfel");
  EXPECT_EQ(normalized_answer("theatre"), "theatre") << "articles are whole words";
  EXPECT_EQ(normalized_answer("the"), "");
  EXPECT_DOUBLE_EQ(answer_f1("king of spain", "king"), 0.5);
  EXPECT_DOUBLE_EQ(answer_f1("b b c", "b c d"), 2.0 * 2 / 6);
  EXPECT_DOUBLE_EQ(answer_f1("x", "y"), 0);
  EXPECT_DOUBLE_EQ(answer_f1("", ""), 1);
  EXPECT_DOUBLE_EQ(answer_f1("", "y"), 0);
}

TEST(TrainingText, HoldsAllColumnsOfTheObjective) {
  const Scratch s;
  const auto text = [](ObjectiveKind kind, const std::string& path) {
    std::string all;
    training_text(kind, {entry(path)}, {})([&](std::string_view piece) { all += piece.empty() ? std::string("|") : std::string(piece); });
    return all;
  };
  EXPECT_EQ(text(ObjectiveKind::kSeq2Seq, s.write("p.tsv", "source\ttarget\nab\tc\n")), "ab|c|");
  EXPECT_EQ(text(ObjectiveKind::kQuestionAnswering, s.write("q.jsonl", kQuestion)), "Who?|The k\xC3\xB6nig, Ada, won.|");
  EXPECT_EQ(text(ObjectiveKind::kClassify, s.write("c.tsv", "text\tlabel\nab\tc\n")), "ab|");
  EXPECT_EQ(text(ObjectiveKind::kMasked, s.write("t.txt", "ab")), "ab|");
}

}  // namespace
}  // namespace longhaul::data
