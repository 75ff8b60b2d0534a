#include <gmock/gmock.h>

#include <set>

#include "data/sampler/batches.h"
#include "data/sampler/streams.h"
#include "framework/base/error.h"
#include "tests/data/scratch.h"

namespace longhaul::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int32_t> values(const Tensor& t) { return {t.data<int32_t>(), t.data<int32_t>() + t.elements()}; }

/// Documents whose tokens count on: token t of the split is t % 251.
std::shared_ptr<const TokenSource> counting(const Scratch& s, const std::vector<int>& lengths) {
  std::vector<DataEntry> entries;
  int at = 0;
  for (size_t d = 0; d < lengths.size(); ++d) {
    std::string text;
    for (int i = 0; i < lengths[d]; ++i, ++at) text += static_cast<char>(at % 251);
    entries.push_back(entry(s.write("d" + std::to_string(1000 + d), text)));
  }
  return open_split("train", entries, bytes_tokenizer(0), s.options());
}

TEST(Streams, EachRowGoesOnWhereItEnded) {
  const Scratch s;
  const TrainingBatches batches(causal_streams(counting(s, {20, 30}), {.sequence_length = 5, .rows = 3, .shuffle = false}), false, 0);
  // 49 inputs in three streams of 16: segments of 5, 5, 5 and 1.
  EXPECT_EQ(batches.samples_per_epoch(), 12);
  const Batch first = batches.read(0, 3), second = batches.read(3, 3), last = batches.read(9, 3), next = batches.read(12, 3);
  EXPECT_THAT(values(first.tokens), ElementsAre(0, 1, 2, 3, 4, 16, 17, 18, 19, 20, 32, 33, 34, 35, 36));
  EXPECT_THAT(values(second.tokens), ElementsAre(5, 6, 7, 8, 9, 21, 22, 23, 24, 25, 37, 38, 39, 40, 41));
  EXPECT_THAT(values(second.targets), ElementsAre(6, 7, 8, 9, 10, 22, 23, 24, 25, 26, 38, 39, 40, 41, 42));
  EXPECT_THAT(values(last.tokens), ElementsAre(15, 0, 0, 0, 0, 31, 0, 0, 0, 0, 47, 0, 0, 0, 0));
  EXPECT_THAT(values(last.targets), ElementsAre(16, -1, -1, -1, -1, 32, -1, -1, -1, -1, 48, -1, -1, -1, -1));
  EXPECT_EQ(values(next.tokens), values(first.tokens));
  EXPECT_TRUE(first.begins_streams && next.begins_streams);
  EXPECT_FALSE(second.begins_streams || last.begins_streams);
  EXPECT_THAT(values(first.documents), ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1));
}

TEST(Streams, ShuffledEpochsBeginAtOtherTokensAndScoreEachTargetOnce) {
  const Scratch s;
  const TrainingBatches batches(causal_streams(counting(s, {200}), {.sequence_length = 8, .rows = 2, .shuffle = true, .seed = 5}), false, 5);
  std::set<int32_t> begins;
  for (int64_t epoch = 0; epoch < 12; ++epoch) {
    std::vector<int32_t> targets;
    const int64_t steps = batches.samples_per_epoch() / 2;
    for (int64_t row = 0; row < 2; ++row) {
      for (int64_t step = 0; step < steps; ++step) {
        const Batch batch = batches.read(epoch * batches.samples_per_epoch() + 2 * step, 2);
        EXPECT_EQ(batch.begins_streams, step == 0);
        if (step == 0 && row == 0) begins.insert(values(batch.tokens)[0]);
        for (int64_t i = 0; i < 8; ++i) {
          if (const int32_t target = values(batch.targets)[static_cast<size_t>(row * 8 + i)]; target >= 0) targets.push_back(target);
        }
      }
    }
    // One run of consecutive tokens, cut into two streams.
    ASSERT_EQ(targets.size(), 192u);  // two streams of (199 - 7) / 2
    for (size_t i = 1; i < targets.size(); ++i) EXPECT_EQ(targets[i], targets[i - 1] + 1);
  }
  EXPECT_GT(begins.size(), 3u);
  EXPECT_LT(*begins.rbegin(), 8);
}

TEST(Streams, TooShortDataIsRefused) {
  const Scratch s;
  const auto source = counting(s, {30});
  const auto message_of = [&](const StreamOptions& options) -> std::string {
    try {
      causal_streams(source, options);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message_of({.sequence_length = 8, .rows = 4, .shuffle = false}), HasSubstr("4 streams of 7"));
  EXPECT_THAT(message_of({.sequence_length = 4, .rows = 4, .memory = 7, .shuffle = false}), HasSubstr("keeps 7 tokens"));
  EXPECT_EQ(message_of({.sequence_length = 4, .rows = 4, .memory = 6, .shuffle = false}), "");
}

}  // namespace
}  // namespace longhaul::data
