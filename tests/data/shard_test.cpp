#include <gmock/gmock.h>

#include "data/shards/prepare.h"
#include "data/shards/shard_file.h"
#include "data/shards/source.h"
#include "data/shards/writer.h"
#include "tests/data/scratch.h"

namespace longhaul::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Two documents, "hi you" and "x", with end ids.
std::string write_sample(const Scratch& s, const std::string& name, int64_t offset = 2) {
  const auto tokenizer = bytes_tokenizer(offset);
  ShardWriter writer(s.path(name), *tokenizer, true);
  writer.tokens(tokenizer->encode("hi you"));
  writer.tokens(std::vector<int32_t>{1});
  writer.end_document({6, 6, 2});
  writer.tokens(tokenizer->encode("x"));
  writer.tokens(std::vector<int32_t>{1});
  writer.end_document({1, 1, 1});
  writer.finish(true);
  return s.path(name);
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char b : bytes) out += fmt::format("{:02x}", static_cast<uint8_t>(b));
  return out;
}

TEST(Shard, HeaderBytesAreThoseOfTheFormat) {
  const Scratch s;
  write_sample(s, "a.shard");
  const std::string file = s.read("a.shard");
  ASSERT_EQ(file.size(), 4096u + 64 + 3 * 8 + 2 * 24);
  EXPECT_EQ(file.substr(0, 8), "LHSHARD1");
  EXPECT_EQ(hex(std::string_view(file).substr(8, 72)),
            "01000000"
            "02000000"
            "0900000000000000"
            "0200000000000000"  // version, token bytes, tokens, documents
            "0010000000000000"
            "4010000000000000"
            "5810000000000000"  // offsets of tokens, document table, meta
            "0700000000000000"
            "0700000000000000"
            "0300000000000000");  // bytes, characters, words of the source
  EXPECT_EQ(hex(std::string_view(file).substr(80, 32)), bytes_tokenizer(2)->hash_hex());
  EXPECT_EQ(hex(std::string_view(file).substr(112, 32)), sha256_hex(std::string_view(file).substr(4096)));
  EXPECT_EQ(hex(std::string_view(file).substr(144, 12)),
            "01000000"
            "ffffffff"
            "03000000");  // eos, bos, flags
  EXPECT_EQ(file.substr(156, 4096 - 156), std::string(4096 - 156, '\0'));
  EXPECT_EQ(hex(std::string_view(file).substr(4096, 18)), "6a006b0022007b007100770001007a000100");
  EXPECT_EQ(hex(std::string_view(file).substr(4160, 24)),
            "0000000000000000"
            "0700000000000000"
            "0900000000000000");
}

TEST(Shard, TokenWidthFollowsTheVocabulary) {
  EXPECT_EQ(token_bytes_for(256), 1u);
  EXPECT_EQ(token_bytes_for(257), 2u);
  EXPECT_EQ(token_bytes_for(65535), 2u);
  EXPECT_EQ(token_bytes_for(65536), 4u);
}

TEST(Shard, GivenShardsAreUsedAsTheyAre) {
  const Scratch s;
  const auto source = open_split("train", {entry(write_sample(s, "a.shard")), entry(write_sample(s, "b.shard"))},
                                 bytes_tokenizer(2), s.options());
  EXPECT_THAT(documents_of(*source), ElementsAre("hi you", "x", "hi you", "x"));
  EXPECT_EQ(source->total(), (TextCounts{14, 14, 6}));
  EXPECT_EQ(source->document_of(8), 1);
  EXPECT_EQ(source->document_of(9), 2);
  std::vector<int32_t> across(4);
  source->read(7, across);
  EXPECT_THAT(across, ElementsAre(122, 1, 106, 107));
  EXPECT_THAT(
      message_of<DataError>([&] { open_split("train", {entry(s.path("a.shard"))}, bytes_tokenizer(3), s.options()); }),
      HasSubstr("was made with another tokenizer"));
  DataEntry part = entry(s.path("a.shard"));
  part.part = {0, 50};
  EXPECT_THAT(message_of<DataError>([&] { open_split("train", {part}, bytes_tokenizer(2), s.options()); }),
              HasSubstr("taken as a whole"));
  EXPECT_THAT(
      message_of<DataError>([&] {
        open_split("train", {entry(s.path("a.shard")), entry(s.write("t.txt", "t"))}, bytes_tokenizer(2), s.options());
      }),
      HasSubstr("mixes token shards"));
}

TEST(Shard, EveryBitFlipAndEveryLengthIsFound) {
  const Scratch s;
  const std::string path = write_sample(s, "a.shard");
  const std::string sound = s.read("a.shard");
  const auto opens = [&](const std::string& bytes) {
    s.write("bad.shard", bytes);
    try {
      open_split("train", {entry(s.path("bad.shard"))}, bytes_tokenizer(2), s.options());
      return true;
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("bad.shard"));
      return false;
    }
  };
  ASSERT_TRUE(opens(sound));
  for (size_t at = 0; at < sound.size(); at += at >= 160 && at < 4090 ? 61 : 1) {
    const bool informative =
        at >= 148 && at < 153;  // begin id and flags say what cannot be checked against the content
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = sound;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      if (!informative) {
        EXPECT_FALSE(opens(bad)) << "bit " << bit << " of byte " << at;
      } else {
        opens(bad);
      }
    }
  }
  for (size_t length = 0; length < sound.size(); length += length < 4090 ? 119 : 1)
    EXPECT_FALSE(opens(sound.substr(0, length))) << length;
  EXPECT_FALSE(opens(sound + '\0'));
}

TEST(Shard, HostileHeadersAreRefusedWithTheirOwnMessages) {
  const Scratch s;
  const std::string sound = [&] {
    write_sample(s, "a.shard");
    return s.read("a.shard");
  }();
  const auto with = [&](size_t at, uint64_t value, int bytes = 8) {
    std::string bad = sound;
    for (int i = 0; i < bytes; ++i) bad[at + static_cast<size_t>(i)] = static_cast<char>(value >> (8 * i));
    s.write("bad.shard", bad);
    return message_of<DataError>([&] { ShardFile::open(s.path("bad.shard"), ShardFile::Verify::kStructure); });
  };
  EXPECT_THAT(with(0, 0), HasSubstr("is no token shard"));
  EXPECT_THAT(with(8, 2, 4), HasSubstr("version 2"));
  EXPECT_THAT(with(12, 3, 4), HasSubstr("tokens of 3 bytes"));
  for (const uint64_t huge : {~uint64_t{0}, uint64_t{1} << 63, uint64_t{1} << 32}) {
    EXPECT_THAT(with(16, huge), HasSubstr("do not fit"));
    EXPECT_THAT(with(24, huge), HasSubstr("do not fit"));
    EXPECT_THAT(with(40, huge), HasSubstr("sections at"));
  }
  EXPECT_THAT(with(48, 0), HasSubstr("its header describes"));
  EXPECT_THAT(with(56, 8), HasSubstr("the header says"));
  EXPECT_THAT(with(144, ~uint64_t{0}, 4), HasSubstr("end id -1"));
  EXPECT_THAT(with(200, 1), HasSubstr("unused part"));
  EXPECT_THAT(with(4168, 20), HasSubstr("the document table does not rise"));
}

TEST(Shard, ChangesDuringARunStopItWithTheName) {
  const Scratch s;
  const std::string path = write_sample(s, "a.shard");
  const std::string sound = s.read("a.shard");
  std::vector<int32_t> one(1);
  const auto after = [&](const auto& change) {
    s.write("a.shard", sound);
    const auto source = open_split("train", {entry(path)}, bytes_tokenizer(2), s.options());
    source->read(0, one);
    change();
    const std::string message = message_of<DataError>([&] { source->read(0, one); });
    EXPECT_THAT(message, HasSubstr("a.shard"));
    return message;
  };
  EXPECT_THAT(after([&] { s.write("a.shard", sound + "more"); }), HasSubstr("was changed while it is in use"));
  EXPECT_THAT(after([&] { std::filesystem::resize_file(path, 4100); }), HasSubstr("was changed while it is in use"));
  after([&] { std::filesystem::remove(path); });
}

TEST(Cache, TheSameTextIsTokenisedOnceAndAnyChangeMakesItAgain) {
  const Scratch s;
  const std::string path = s.write("t.txt", "some text");
  const auto prepare = [&](const CorpusOptions& options = {}) {
    return prepare_split("train", {entry(path)}, *bytes_tokenizer(), options, s.path("cache"));
  };
  const Prepared first = prepare();
  const auto made = std::filesystem::last_write_time(first.folder + "/00000.shard");
  EXPECT_EQ(prepare().folder, first.folder);
  EXPECT_EQ(std::filesystem::last_write_time(first.folder + "/00000.shard"), made);
  CorpusOptions lines;
  lines.words = WordCount::kWordsAndLines;
  EXPECT_NE(prepare(lines).folder, first.folder);
  EXPECT_NE(prepare_split("train", {entry(path)}, *bytes_tokenizer(1), {}, s.path("cache")).folder, first.folder);
  s.write("t.txt", "same text");
  EXPECT_NE(prepare().folder, first.folder);
  for (const auto& found : std::filesystem::directory_iterator(s.path("cache"))) {
    EXPECT_EQ(found.path().string().find(".tmp-"), std::string::npos);
  }
}

TEST(Cache, DocumentsAreDealtToShardsOfBoundedSize) {
  const Scratch s;
  DataEntry lines = entry(s.write("t.txt", "aaaa\nbb\n\ncccccc\nd\n"));
  lines.document = DocumentMode::kLine;
  const Prepared prepared =
      prepare_split("train", {lines}, *bytes_tokenizer(), {}, s.path("cache"), {.shard_tokens = 5});
  ASSERT_EQ(prepared.shards.size(), 3u);
  std::vector<ShardFile> shards;
  for (const ShardNote& note : prepared.shards)
    shards.push_back(ShardFile::open(prepared.folder + "/" + note.name, ShardFile::Verify::kContent));
  EXPECT_THAT(documents_of(*open_shards(std::move(shards), bytes_tokenizer(), {})),
              ElementsAre("aaaa", "bb", "cccccc", "d"));
}

TEST(Cache, AFailedPreparationLeavesNothing) {
  const Scratch s;
  message_of<DataError>([&] {
    open_split("train", {entry(s.write("a.txt", "sound")), entry(s.write("b.gz", "not gzip"))}, bytes_tokenizer(),
               s.options());
  });
  EXPECT_TRUE(std::filesystem::is_empty(s.path("cache")));
}

TEST(Cache, ManyEmptyAndManySmallDocumentsAreLinear) {
  const Scratch s;
  DataEntry lines = entry(s.write("t.txt", std::string(1 << 20, '\n') + "x\ny\n"));
  lines.document = DocumentMode::kLine;
  EXPECT_THAT(documents_of(*open_split("train", {lines}, bytes_tokenizer(), s.options())), ElementsAre("x", "y"));
  std::string text;
  for (int i = 0; i < 100000; ++i) text += "ab\n";
  lines = entry(s.write("many.txt", text));
  lines.document = DocumentMode::kLine;
  const auto source = open_split("train", {lines}, bytes_tokenizer(), s.options());
  EXPECT_EQ(source->documents(), 100000);
  EXPECT_EQ(source->total(), (TextCounts{200000, 200000, 100000}));
}

TEST(FileMarks, ChangedInputsAreNamed) {
  const Scratch s;
  const std::string path = s.write("t.txt", std::string(200000, 'a'));
  const std::vector<DataEntry> entries = {entry(path)};
  const auto before = open_split("train", entries, bytes_tokenizer(), s.options())->files();
  EXPECT_EQ(marks_from_json(marks_to_json(before)), before);
  EXPECT_NO_THROW(check_unchanged(before, mark_files(entries)));
  const auto changed = [&](const std::string& text) {
    s.write("t.txt", text);
    return message_of<DataError>([&] { check_unchanged(before, mark_files(entries)); });
  };
  EXPECT_THAT(changed(std::string(200001, 'a')),
              HasSubstr("t.txt changed since the run began: 200000 bytes then, 200001 now"));
  EXPECT_THAT(changed("b" + std::string(199999, 'a')), HasSubstr("same size, other content"));
  EXPECT_THAT(changed(std::string(100000, 'a') + "b" + std::string(99999, 'a')), HasSubstr("other content inside"));
  s.write("t.txt", std::string(200000, 'a'));  // another time, the same content
  EXPECT_NO_THROW(check_unchanged(before, mark_files(entries)));
  s.write("u.txt", "new");
  EXPECT_THAT(message_of<DataError>([&] {
                check_unchanged(before, mark_files({entry(path), entry(s.path("u.txt"))}));
              }),
              HasSubstr("u.txt was added"));
  EXPECT_THAT(message_of<DataError>([&] { check_unchanged(before, {}); }), HasSubstr("t.txt was part of the data"));
}

TEST(Words, LineEndsCountWhereAsked) {
  const Scratch s;
  DatasetOptions options = s.options();
  options.corpus.words = WordCount::kWordsAndLines;
  const std::vector<DataEntry> entries = {entry(s.write("w.txt", " \n = A b = \n\nlast"))};
  EXPECT_EQ(open_split("valid", entries, bytes_tokenizer(), options)->total().words, 5 + 4);
  TokenizerOptions word;
  word.kind = TokenizerKind::kWord;
  const auto source = open_split("valid", entries, trained(word, "= A last"), s.options());
  EXPECT_EQ(source->total().words, 9) << "the word tokenizer counts line ends unless told otherwise";
  EXPECT_EQ(source->tokens(), 9);
  EXPECT_EQ(source->unknown_tokens(), 1);
  EXPECT_EQ(source->fidelity(), Fidelity::kLossy);
  EXPECT_EQ(open_split("valid", entries, trained(word, "= A last b"), s.options())->fidelity(), Fidelity::kWords);
}

}  // namespace
}  // namespace longhaul::data
