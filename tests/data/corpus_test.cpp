#include <gmock/gmock.h>
#include <sys/stat.h>
#include <zstd.h>

#include "tests/data/scratch.h"
#include "tests/support/paths.h"

namespace longhaul::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> read_split(const Scratch& s, const std::vector<DataEntry>& entries,
                                    InvalidUtf8 policy = InvalidUtf8::kAuto) {
  DatasetOptions options = s.options();
  options.corpus.invalid_utf8 = policy;
  return documents_of(*open_split("train", entries, bytes_tokenizer(), options));
}

std::string failure(const Scratch& s, const DataEntry& e, InvalidUtf8 policy = InvalidUtf8::kError) {
  return message_of<DataError>([&] { read_split(s, {e}, policy); });
}

TEST(Corpus, TextFilesFoldersAndGlobsComeInSortedOrder) {
  const Scratch s;
  s.write("d/b.txt", "bee");
  s.write("d/a.txt", "ay");
  s.write("d/sub/c.md", "sea");
  EXPECT_THAT(read_split(s, {entry(s.path("d/b.txt")), entry(s.path("d/a.txt"))}), ElementsAre("bee", "ay"));
  EXPECT_THAT(read_split(s, {entry(s.path("d"))}), ElementsAre("ay", "bee", "sea"));
  EXPECT_THAT(read_split(s, {entry(s.path("d/*.txt"))}), ElementsAre("ay", "bee"));
  EXPECT_THAT(read_split(s, {entry(s.path("d/**/*.[tm]*"))}), ElementsAre("ay", "bee", "sea"));
}

TEST(Corpus, OddPathsAreReadAsTheyAre) {
  const Scratch s;
  for (const char* name : {"with space.txt", "new\nline.txt", "\xC3\xA9t\xC3\xA9.txt", "star*[x].txt", "-dash"}) {
    EXPECT_THAT(read_split(s, {entry(s.write(name, "text"))}), ElementsAre("text")) << name;
  }
}

TEST(Corpus, BadPathsAreRefusedByName) {
  const Scratch s;
  EXPECT_EQ(failure(s, entry(s.path("none.txt"))), "[data] " + s.path("none.txt") + " does not exist");
  EXPECT_EQ(failure(s, entry(s.path("*.txt"))), "[data] no file matches " + s.path("*.txt"));
  EXPECT_THAT(failure(s, entry(s.path(std::string(4000, 'x')))), HasSubstr("xxxx"));
  EXPECT_EQ(failure(s, entry("")), "[data] an entry has an empty path");
  EXPECT_THAT(failure(s, entry(std::string("a\0b", 3))), HasSubstr("NUL"));
  std::filesystem::create_symlink("loop", s.path("loop"));
  EXPECT_THAT(failure(s, entry(s.path("loop"))), HasSubstr("loop"));
  std::filesystem::create_directories(s.path("hollow"));
  EXPECT_EQ(failure(s, entry(s.path("hollow"))), "[data] folder " + s.path("hollow") + " holds no file");
  EXPECT_EQ(message_of<DataError>([&] { read_split(s, {}); }),
            "[data] train has no entry\n  hint: give data.train a file, folder or glob");
}

TEST(Corpus, UnreadableFileIsNamed) {
  const Scratch s;
  if (::geteuid() == 0) GTEST_SKIP() << "root reads everything";
  ::chmod(s.write("locked.txt", "x").c_str(), 0);
  EXPECT_THAT(failure(s, entry(s.path("locked.txt"))), HasSubstr("locked.txt"));
}

TEST(Corpus, GzipOfSeveralMembersAndZstdOfSeveralFramesAreOneText) {
  const Scratch s;
  EXPECT_THAT(read_split(s, {entry(s.write("a.txt.gz", gzipped("one ") + gzipped("") + gzipped("two")))}),
              ElementsAre("one two"));
  std::string frames;
  for (const std::string text : {"eins ", "zwei"}) {
    std::string frame(ZSTD_compressBound(text.size()), '\0');
    frame.resize(ZSTD_compress(frame.data(), frame.size(), text.data(), text.size(), 3));
    frames += frame;
  }
  EXPECT_THAT(read_split(s, {entry(s.write("a.zst", frames))}), ElementsAre("eins zwei"));
  EXPECT_THAT(failure(s, entry(s.write("cut.zst", frames.substr(0, frames.size() - 3)))), HasSubstr("cut off"));
  EXPECT_THAT(failure(s, entry(s.write("no.zst", "plain text"))), HasSubstr("no.zst is damaged"));
}

TEST(Corpus, DamagedGzipIsFoundAndNamed) {
  const Scratch s;
  const std::string sound = gzipped(std::string(5000, 'a') + "tail");
  for (size_t length = 0; length < sound.size(); length += 3) {
    EXPECT_THAT(failure(s, entry(s.write("cut.gz", sound.substr(0, length)))), HasSubstr("cut.gz")) << length;
  }
  std::string crc = sound;
  crc[crc.size() - 8] ^= 1;
  EXPECT_EQ(
      failure(s, entry(s.write("crc.gz", crc))),
      "[data] " + s.path("crc.gz") + " is damaged in gzip member 1: incorrect data check\n  hint: fetch it again");
  EXPECT_THAT(failure(s, entry(s.write("tail.gz", sound + "rubbish"))), HasSubstr("gzip member 2"));
  EXPECT_THAT(failure(s, entry(s.write("plain.gz", "plain text"))), HasSubstr("gzip member 1"));
}

TEST(Corpus, PartsShareNoByteAndLoseNone) {
  const Scratch s;
  std::string text;
  for (int i = 0; i < 400; ++i) text += i % 3 ? "\xE2\x82\xAC" : i % 2 ? "\xC3\xA9" : "x";
  const std::string path = s.write("t.txt", text);
  for (const double cut : {1.0, 33.3, 50.0, 50.1, 50.2, 50.3, 77.7, 99.0}) {
    DataEntry front = entry(path), back = entry(path);
    front.part = {0, cut};
    back.part = {cut, 100};
    const auto a = read_split(s, {front}, InvalidUtf8::kError);
    const auto b = read_split(s, {back}, InvalidUtf8::kError);
    EXPECT_EQ(a.at(0) + b.at(0), text) << cut;
  }
}

TEST(Corpus, TinyShakespeareSplitEqualsTheUsualOne) {
  const Scratch s;
  const std::string path = source_folder() + "/data/corpora/tinyshakespeare.txt.gz";
  DataEntry front = entry(path), back = entry(path);
  front.part = {0, 90};
  back.part = {90, 100};
  const auto train = open_split("train", {front}, bytes_tokenizer(), s.options());
  const auto valid = open_split("valid", {back}, bytes_tokenizer(), s.options());
  EXPECT_EQ(train->tokens(), 1003854);  // nanoGPT, data/shakespeare_char/prepare.py
  EXPECT_EQ(valid->tokens(), 111540);
  EXPECT_EQ(sha256_hex(documents_of(*train)[0] + documents_of(*valid)[0]),
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed");
}

TEST(Corpus, LinesAndParagraphsAreDocuments) {
  const Scratch s;
  DataEntry e = entry(s.write("l.txt", "\n\none\r\ntwo\n \nthree \n\nfour"));
  e.document = DocumentMode::kLine;
  EXPECT_THAT(read_split(s, {e}), ElementsAre("one", "two", " ", "three ", "four"));
  e.document = DocumentMode::kBlankLine;
  EXPECT_THAT(read_split(s, {e}), ElementsAre("one\r\ntwo\n", "three \n", "four"));
}

TEST(Corpus, TsvAndJsonLinesGiveTheNamedColumn) {
  const Scratch s;
  DataEntry e = entry(s.write("t.tsv", "id\ttext\tx\r\n1\tone two\ty\r\n2\t\tz\n3\tthree\t\n"));
  EXPECT_THAT(read_split(s, {e}), ElementsAre("one two", "three"));
  e.text = "x";
  EXPECT_THAT(read_split(s, {e}), ElementsAre("y", "z"));
  e = entry(s.write("j.jsonl", "{\"text\": \"a\\u00e9\", \"n\": 1}\n\n{\"n\": [2], \"text\": \"b\\nc\"}"));
  EXPECT_THAT(read_split(s, {e}), ElementsAre("a\xC3\xA9", "b\nc"));
}

TEST(Corpus, MalformedRowsAreRefusedWithTheirLine) {
  const Scratch s;
  const std::string tsv = s.write("t.tsv", "a\tb\n1\t2\n3\n");
  DataEntry e = entry(tsv);
  EXPECT_EQ(
      failure(s, e),
      "[data] " + tsv + " has no column \"text\": its header has \"a\", \"b\"\n  hint: name the column with `text:`");
  e.text = "a";
  EXPECT_EQ(failure(s, e), "[data] " + tsv + ":3: a row of 1 cells under a header of 2 columns");
  EXPECT_THAT(failure(s, entry(s.write("e.tsv", ""))), HasSubstr("has no header line"));
  const auto json = [&](const std::string& line) {
    return failure(s, entry(s.write("j.jsonl", "{\"text\":\"x\"}\n" + line)));
  };
  EXPECT_THAT(json("{\"text\": "), HasSubstr("j.jsonl:2: malformed JSON"));
  EXPECT_THAT(json("[1]"), HasSubstr("j.jsonl:2: expected an object a line, found array"));
  EXPECT_THAT(json("{\"other\": 1}"), HasSubstr("j.jsonl:2: no \"text\" in this object"));
  EXPECT_THAT(json("{\"text\": 5}"), HasSubstr("j.jsonl:2: \"text\" is number, expected a string"));
  EXPECT_THAT(json("{\"text\":" + std::string(100000, '[')),
              HasSubstr("j.jsonl:2: JSON nested deeper than 100 levels"));
}

TEST(Corpus, EachClassOfInvalidUtf8IsNamedWithItsByte) {
  const Scratch s;
  const std::pair<std::string, std::string> cases[] = {{"ab\x80z", "byte 2: stray continuation byte (0x80)"},
                                                       {"\xC0\xAF", "byte 0: overlong form (0xC0)"},
                                                       {"a\xE0\x9F\xBF", "byte 1: overlong form (0xE0)"},
                                                       {"a\xF0\x8F\xBF\xBF", "byte 1: overlong form (0xF0)"},
                                                       {"\xED\xA0\x80", "byte 0: surrogate (0xED)"},
                                                       {"\xF4\x90\x80\x80", "byte 0: code above U+10FFFF (0xF4)"},
                                                       {"\xFF", "byte 0: code above U+10FFFF (0xFF)"},
                                                       {"x\xE2\x82y", "byte 1: character cut short (0xE2)"},
                                                       {"xyz\xE2\x82", "byte 3: character cut at the end (0xE2)"}};
  for (const auto& [bytes, expected] : cases) {
    EXPECT_THAT(failure(s, entry(s.write("u.txt", bytes))), HasSubstr("u.txt: invalid UTF-8 at " + expected));
    EXPECT_THAT(read_split(s, {entry(s.path("u.txt"))}), ElementsAre(bytes)) << "byte models take any bytes";
  }
  DatasetOptions options = s.options();
  options.corpus.invalid_utf8 = InvalidUtf8::kReplace;
  const auto replaced = open_split("train", {entry(s.write("r.txt", "a\x80\xE2\x82z"))}, bytes_tokenizer(), options);
  EXPECT_EQ(replaced->replaced_bytes(), 3);
  EXPECT_EQ(replaced->fidelity(), Fidelity::kLossy);
  EXPECT_THAT(documents_of(*replaced), ElementsAre("a\xEF\xBF\xBD\xEF\xBF\xBDz"));
}

TEST(Corpus, DataWithoutTextIsRefused) {
  const Scratch s;
  EXPECT_THAT(failure(s, entry(s.write("e.txt", ""))),
              HasSubstr("train holds no text: 1 file (" + s.path("e.txt") + ") without any"));
  DataEntry e = entry(s.write("b.txt", "\n\n\n"));
  e.document = DocumentMode::kLine;
  EXPECT_THAT(failure(s, e), HasSubstr("train holds no text"));
  EXPECT_THAT(read_split(s, {entry(s.path("e.txt")), entry(s.write("x.txt", "x"))}), ElementsAre("x"));
}

TEST(Corpus, TextIsTheSameInPiecesOfAnyFormat) {
  const Scratch s;
  std::string text;
  for (int i = 0; i < 300000; ++i) text += static_cast<char>('a' + i % 23);  // longer than one block
  const auto plain = read_split(s, {entry(s.write("p.txt", text))});
  EXPECT_EQ(plain, read_split(s, {entry(s.write("p.gz", gzipped(text)))}));
  EXPECT_EQ(plain.at(0), text);
}

}  // namespace
}  // namespace longhaul::data
