#include "data/tokenizers/extended.h"

#include "tests/data/objectives/support.h"

namespace longhaul::data {
namespace {

const WantedIds kAll{.rows = true, .begin = true, .end = true, .pad = true, .mask = true, .sentinels = 3};

TEST(ExtendedTokenizer, PutsMissingIdsBehindThoseOfTheTokenizer) {
  const auto bytes = extend(bytes_tokenizer(), kAll);
  EXPECT_EQ(bytes->vocabulary_size(), 256 + 4 + 3);
  EXPECT_EQ(bytes->special(), (SpecialIds{.unknown = -1, .begin = 257, .end = 258, .pad = 256, .mask = 259}));
  // Sentinel i has id V - 1 - i (data spec 3.6).
  EXPECT_EQ(bytes->sentinel(0), 262);
  EXPECT_EQ(bytes->sentinel(2), 260);
  EXPECT_EQ(bytes->piece(262), "<extra_id_0>");
  EXPECT_EQ(bytes->piece(259), "<mask>");
  EXPECT_EQ(bytes->sentence_mask(), 259);
}

TEST(ExtendedTokenizer, UsesTheIdsThatAreThere) {
  const auto shifted = extend(bytes_tokenizer(4), {.rows = true, .begin = true, .end = true, .pad = true, .mask = true});
  EXPECT_EQ(shifted->vocabulary_size(), 260);
  EXPECT_EQ(shifted->special(), (SpecialIds{.unknown = -1, .begin = 2, .end = 1, .pad = 0, .mask = 3}));
  const auto two = extend(bytes_tokenizer(2), {.begin = true, .end = true, .pad = true, .mask = true});
  EXPECT_EQ(two->vocabulary_size(), 260);
  EXPECT_EQ(two->special(), (SpecialIds{.unknown = -1, .begin = 258, .end = 1, .pad = 0, .mask = 259}));
}

TEST(ExtendedTokenizer, TakesTheMarksOfPublicVocabularies) {
  const Scratch s;
  const auto words = load_tokenizer({.kind = TokenizerKind::kWord,
                                     .path = s.write("vocab.txt", "[CLS]\n[SEP]\n<mask_1>\n<extra_id_1>\n<extra_id_0>\nsea\n")});
  const auto rows = extend(words, {.rows = true, .begin = true, .end = true, .mask = true, .sentinels = 2});
  EXPECT_EQ(rows->vocabulary_size(), words->vocabulary_size());
  EXPECT_EQ(rows->special().begin, 0);
  EXPECT_EQ(rows->special().end, 1);
  EXPECT_EQ(rows->sentence_mask(), 2);
  EXPECT_EQ(rows->special().mask, 2);
  EXPECT_EQ(rows->sentinel(0), 4);
  EXPECT_EQ(rows->sentinel(1), 3);
  EXPECT_FALSE(rows->ordinary(3));
  EXPECT_TRUE(rows->ordinary(5));
  // One sentinel more than the vocabulary has: all are put behind it.
  EXPECT_EQ(extend(words, {.sentinels = 3})->vocabulary_size(), words->vocabulary_size() + 3);
}

TEST(ExtendedTokenizer, IsTheSameTokenizerToEveryoneElse) {
  const auto inner = bytes_tokenizer();
  const auto outer = extend(inner, kAll);
  EXPECT_EQ(outer->hash_hex(), inner->hash_hex());
  EXPECT_EQ(outer->encode("Wal\xC3\xB6"), inner->encode("Wal\xC3\xB6"));
  EXPECT_EQ(outer->decode(std::vector<int32_t>{257, 'a', 262, 'b', 258, 256}), "ab");
  EXPECT_THAT(message_of<DataError>([&] { outer->decode(std::vector<int32_t>{263}); }), testing::HasSubstr("263"));
  EXPECT_EQ(outer->fidelity(), Fidelity::kExact);
}

TEST(ExtendedTokenizer, OnlyTextIsOrdinary) {
  const auto outer = extend(bytes_tokenizer(), kAll);
  for (int32_t id = 0; id < outer->vocabulary_size(); ++id) EXPECT_EQ(outer->ordinary(id), id < 256) << id;
}

TEST(ExtendedTokenizer, ThePlannedSizeIsTheSizeAfterTraining) {
  TokenizerOptions bpe{.kind = TokenizerKind::kBpe, .path = {}, .vocabulary_size = 300};
  EXPECT_EQ(planned_vocabulary(bpe, kAll), extend(trained(bpe, prose()), kAll)->vocabulary_size());
  TokenizerOptions pieces{.kind = TokenizerKind::kSentencePiece, .path = {}, .vocabulary_size = 300};
  EXPECT_EQ(planned_vocabulary(pieces, kAll), extend(trained(pieces, prose(60)), kAll)->vocabulary_size());
}

}  // namespace
}  // namespace longhaul::data
