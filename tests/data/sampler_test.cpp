#include <gmock/gmock.h>

#include <map>
#include <set>

#include "data/sampler/batches.h"
#include "data/sampler/permutation.h"
#include "tests/data/scratch.h"
#include "tests/support/paths.h"

namespace longhaul::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int32_t> values(const Tensor& t) { return {t.data<int32_t>(), t.data<int32_t>() + t.elements()}; }

/// Documents of the given lengths; token i of document d is d * 16 + i % 16.
std::shared_ptr<const TokenSource> source_of(const Scratch& s, const std::vector<int>& lengths, int64_t offset = 0) {
  std::vector<DataEntry> entries;
  for (size_t d = 0; d < lengths.size(); ++d) {
    std::string text;
    for (int i = 0; i < lengths[d]; ++i) text += static_cast<char>(d * 16 + i % 16);
    entries.push_back(entry(s.write("d" + std::to_string(1000 + d), text)));
  }
  return open_split("train", entries, bytes_tokenizer(offset), s.options());
}

TEST(Permutation, IsABijectionForEverySize) {
  for (int64_t n = 1; n <= 2000; ++n) {
    std::vector<bool> seen(static_cast<size_t>(n), false);
    for (int64_t i = 0; i < n; ++i) {
      const int64_t at = permuted(5, n % 3, n, i);
      ASSERT_TRUE(at >= 0 && at < n && !seen[static_cast<size_t>(at)]) << n << " " << i;
      seen[static_cast<size_t>(at)] = true;
    }
  }
}

TEST(Permutation, EqualsAnIndependentComputation) {
  std::vector<int64_t> first, second;
  for (int64_t i = 0; i < 10; ++i) {
    first.push_back(permuted(1, 0, 10, i));
    second.push_back(permuted(1, 1, 10, i));
  }
  EXPECT_THAT(first, ElementsAre(9, 6, 0, 3, 8, 1, 2, 4, 5, 7));
  EXPECT_THAT(second, ElementsAre(8, 9, 0, 7, 1, 2, 5, 4, 6, 3));
  EXPECT_EQ(permuted(7, 3, 1000003, 0), 250891);
  EXPECT_EQ(permuted(7, 3, 1000003, 1000002), 250898);
}

TEST(TrainingBatches, EachTokenIsATargetOnceAnEpochAcrossDocuments) {
  const Scratch s;
  const auto source = source_of(s, {10, 1, 25, 7});  // 43 tokens
  const TrainingBatches batches(source, {.sequence_length = 8, .cross_documents = true, .shuffle = true, .seed = 3});
  EXPECT_EQ(batches.samples_per_epoch(), 6);  // 42 targets
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    int64_t scored = 0;
    std::set<int64_t> samples;
    for (int64_t g = epoch * 6; g < epoch * 6 + 6; ++g) {
      const Batch b = batches.read(g, 1);
      scored += b.scored;
      samples.insert(b.samples[0]);
      EXPECT_EQ(b.rows[0], g);
    }
    EXPECT_EQ(scored, 42);
    EXPECT_EQ(samples.size(), 6u);
  }
}

TEST(TrainingBatches, WindowsHoldConsecutiveTokensAndTheirSuccessors) {
  const Scratch s;
  const TrainingBatches batches(source_of(s, {3, 4}),
                                {.sequence_length = 4, .cross_documents = true, .shuffle = false, .seed = 0});
  const Batch b = batches.read(0, 2);
  EXPECT_THAT(values(b.tokens), ElementsAre(0, 1, 2, 16, 17, 18, 0, 0));
  EXPECT_THAT(values(b.targets), ElementsAre(1, 2, 16, 17, 18, 19, -1, -1));
  EXPECT_THAT(values(b.documents), ElementsAre(0, 0, 0, 1, 1, 1, -1, -1));
  EXPECT_THAT(values(b.positions), ElementsAre(0, 1, 2, 0, 1, 2, 0, 0));
  EXPECT_THAT(b.lengths, ElementsAre(4, 2));
  EXPECT_EQ(b.scored, 6);
}

TEST(TrainingBatches, WithoutCrossingNoTargetLeavesItsDocument) {
  const Scratch s;
  const auto source = source_of(s, {9, 1, 2, 5});
  const TrainingBatches batches(source, {.sequence_length = 4, .cross_documents = false, .shuffle = false, .seed = 0});
  EXPECT_EQ(batches.samples_per_epoch(), 2 + 0 + 1 + 1);
  const Batch b = batches.read(0, 4);
  EXPECT_THAT(values(b.tokens), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 32, 0, 0, 0, 48, 49, 50, 51));
  EXPECT_THAT(values(b.targets), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 33, -1, -1, -1, 49, 50, 51, 52));
  EXPECT_THAT(values(b.positions), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 1, 2, 3));
  EXPECT_EQ(b.scored, 13);
}

TEST(TrainingBatches, AnEndIdFollowsEachDocument) {
  const Scratch s;
  const TrainingBatches batches(source_of(s, {2, 1}, 2),
                                {.sequence_length = 4, .cross_documents = true, .shuffle = false, .seed = 0});
  const Batch b = batches.read(0, 1);
  EXPECT_THAT(values(b.tokens), ElementsAre(2, 3, 1, 18));
  EXPECT_THAT(values(b.targets), ElementsAre(3, 1, 18, 1));
}

TEST(TrainingBatches, ReadsNeedNoHistory) {
  const Scratch s;
  const TrainingBatches batches(source_of(s, {100, 57}),
                                {.sequence_length = 5, .cross_documents = true, .shuffle = true, .seed = 9});
  const Batch whole = batches.read(11, 60);
  for (int64_t i = 59; i >= 0; i -= 7) {  // any order, any size: what ranks and a resumed run do
    const Batch one = batches.read(11 + i, 1);
    const std::vector<int32_t> row(whole.tokens.data<int32_t>() + i * 5, whole.tokens.data<int32_t>() + i * 5 + 5);
    EXPECT_EQ(values(one.tokens), row);
    EXPECT_EQ(one.samples[0], whole.samples[static_cast<size_t>(i)]);
  }
}

TEST(TrainingBatches, TooShortDataIsRefused) {
  const Scratch s;
  const auto source = source_of(s, {1, 1, 1});
  EXPECT_EQ(message_of<DataError>([&] {
              TrainingBatches(source, {.sequence_length = 8, .cross_documents = true, .shuffle = true, .seed = 0});
            }),
            "[data] the training data has 3 tokens, a sample of sequence_length 8 needs 9\n  hint: lower "
            "data.sequence_length or add text");
  EXPECT_THAT(message_of<DataError>([&] {
                TrainingBatches(source, {.sequence_length = 8, .cross_documents = false, .shuffle = true, .seed = 0});
              }),
              HasSubstr("no training document has two tokens"));
}

TEST(DataCursor, SurvivesARoundTripAndFindsItsSampler) {
  const Scratch s;
  const auto source = source_of(s, {100});
  const TrainingBatches batches(source,
                                {.sequence_length = 5, .cross_documents = true, .shuffle = true, .seed = ~uint64_t{0}});
  DataCursor cursor = DataCursor::start(batches);
  cursor.samples = 33;
  const DataCursor again = DataCursor::from_json(cursor.to_json());
  EXPECT_EQ(again, cursor);
  again.check_fits(batches);
  const TrainingBatches longer(source,
                               {.sequence_length = 10, .cross_documents = true, .shuffle = true, .seed = ~uint64_t{0}});
  EXPECT_EQ(message_of<CheckpointError>([&] { again.check_fits(longer); }).substr(0, 60),
            std::string("[data] the saved position belongs to 20 samples of 5 tokens with seed").substr(0, 60));
  EXPECT_EQ(again.moved_to(longer).samples, 20);  // 33 of 20 samples an epoch: the next whole epoch is 2, of 10 samples
  for (const char* bad : {"", "{}", "[]", "{\"samples\":-1,\"samples_per_epoch\":1,\"sequence_length\":1,\"seed\":0}",
                          "{\"samples\":1.5,\"samples_per_epoch\":1,\"sequence_length\":1,\"seed\":0}"}) {
    message_of<CheckpointError>([&] { DataCursor::from_json(bad); });
  }
}

TEST(EvaluationBatches, EveryTokenIsScoredOnceForAnyWindowAndStride) {
  const Scratch s;
  const auto source = source_of(s, {1, 2, 3, 9, 14});
  const TextCounts total = source->total();
  for (const bool cross : {true, false}) {
    for (int64_t context = 1; context <= 16; ++context) {
      for (int64_t stride = 1; stride <= context; ++stride) {
        const EvaluationBatches batches(source, {.context = context, .stride = stride, .cross_documents = cross});
        std::map<std::pair<int32_t, int32_t>, int> times;  // (document, position) of each scored target
        int64_t scored = 0;
        for (int64_t w = 0; w < batches.windows(); w += 3) {
          const Batch b = batches.read(w, 3);
          const int64_t width = b.tokens.size(1);
          ASSERT_LE(width, context);
          for (int64_t i = 0; i < b.tokens.elements(); ++i) {
            if (b.targets.data<int32_t>()[i] < 0) continue;
            ++times[{b.documents.data<int32_t>()[i], b.positions.data<int32_t>()[i]}];
            const int64_t row = i / width;
            if (b.samples[static_cast<size_t>(row)] > 0 && cross) {
              EXPECT_GE(i % width + 1, std::min(context, context - stride + 1));
            }
          }
          scored += b.scored;
        }
        EXPECT_EQ(scored, batches.counts().tokens);
        EXPECT_EQ(scored, cross ? 28 : 24);
        for (const auto& [where, count] : times) EXPECT_EQ(count, 1);
        EXPECT_EQ(static_cast<int64_t>(times.size()), scored);
        EXPECT_EQ(batches.counts().text.bytes, total.bytes - (cross ? 1 : 5));
      }
    }
  }
}

TEST(EvaluationBatches, CountsTextByHandComputedValues) {
  const Scratch s;
  // 3 documents: "hé lo" 6 bytes, 5 characters, 2 words; "x" 1, 1, 1; "ab\ncd e" 7, 7, 3.
  const std::vector<DataEntry> entries = {entry(s.write("1", "h\xC3\xA9 lo")), entry(s.write("2", "x")),
                                          entry(s.write("3", "ab\ncd e"))};
  const auto source = open_split("valid", entries, bytes_tokenizer(), s.options());
  EXPECT_EQ(source->total(), (TextCounts{14, 13, 6}));
  EXPECT_EQ(source->counts(0), (TextCounts{6, 5, 2}));
  const EvaluationBatches each(source, {.context = 4, .stride = 4, .cross_documents = false});
  EXPECT_EQ(each.counts().tokens, 11);
  EXPECT_EQ(each.counts().documents, 2);
  EXPECT_EQ(each.counts().text, (TextCounts{11, 10, 3}));  // without h, x and a, with whom their words go
  const EvaluationBatches stream(source, {.context = 4, .stride = 4, .cross_documents = true});
  EXPECT_EQ(stream.counts().tokens, 13);
  EXPECT_EQ(stream.counts().text, (TextCounts{13, 12, 5}));
  // End ids are context, never targets: the same figures with a tokenizer that puts one after each document.
  const auto ended = open_split("valid", entries, bytes_tokenizer(3), s.options());
  EXPECT_EQ(ended->tokens(), 17);
  for (const bool cross : {true, false}) {
    const EvaluationBatches again(ended, {.context = 4, .stride = 2, .cross_documents = cross});
    int64_t scored = 0;
    for (int64_t w = 0; w < again.windows(); ++w) scored += again.read(w, 1).scored;
    EXPECT_EQ(scored, cross ? 13 : 11);
    EXPECT_EQ(again.counts().tokens, scored);
    EXPECT_EQ(again.counts().text, cross ? stream.counts().text : each.counts().text);
  }
}

TEST(EvaluationBatches, DisjointBlocksOfTheUsualValidationSplit) {
  const Scratch s;
  DataEntry e = entry(source_folder() + "/data/corpora/tinyshakespeare.txt.gz");
  e.part = {90, 100};
  const EvaluationBatches batches(open_split("valid", {e}, bytes_tokenizer(), s.options()),
                                  {.context = 64, .stride = 64, .cross_documents = true});
  EXPECT_EQ(batches.windows(), 1743);  // 111,539 targets
  EXPECT_EQ(batches.counts().tokens, 111539);
}

TEST(EvaluationBatches, NothingToScoreIsRefused) {
  const Scratch s;
  const auto source = source_of(s, {1, 1});
  EXPECT_THAT(
      message_of<DataError>([&] { EvaluationBatches(source, {.context = 4, .stride = 4, .cross_documents = false}); }),
      HasSubstr("nothing can be scored"));
  EXPECT_THAT(
      message_of<ConfigError>([&] { EvaluationBatches(source, {.context = 4, .stride = 5, .cross_documents = true}); }),
      HasSubstr("stride = 5, expected 1 to context (4)"));
}

}  // namespace
}  // namespace longhaul::data
