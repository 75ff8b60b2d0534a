#include <gmock/gmock.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "data/tokenizers/bpe/bpe.h"
#include "data/tokenizers/json_file.h"
#include "tests/data/scratch.h"
#include "tests/support/paths.h"

namespace longhaul::data {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Json = nlohmann::json;

std::string golden(const std::string& name) { return source_folder() + "/tests/data/golden/" + name; }

std::string read_all(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::shared_ptr<const Tokenizer> loaded(TokenizerKind kind, const std::string& path) {
  TokenizerOptions options;
  options.kind = kind;
  options.path = path;
  return load_tokenizer(options);
}

TokenizerOptions make(TokenizerKind kind, int64_t size = 0) {
  TokenizerOptions options;
  options.kind = kind;
  options.vocabulary_size = size;
  return options;
}

/// Encodes a document in pieces of every small size and expects the ids of the whole.
void expect_pieces_equal(const Tokenizer& tokenizer, const std::string& text) {
  const std::vector<int32_t> whole = tokenizer.encode(text);
  for (const size_t step : {1u, 2u, 3u, 7u, 50u}) {
    EncodedText out;
    std::string buffer;
    for (size_t at = 0; at < text.size(); at += step) {
      buffer += text.substr(at, step);
      buffer.erase(0, tokenizer.encode_front(buffer, false, out));
    }
    EXPECT_EQ(tokenizer.encode_front(buffer, true, out), buffer.size());
    EXPECT_EQ(out.ids, whole) << "in pieces of " << step << ": " << text;
  }
}

void expect_saved_equal(const Scratch& s, const Tokenizer& tokenizer, const std::string& text) {
  const std::string folder = s.path("saved");
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  tokenizer.save(folder);
  const auto again = load_tokenizer_folder(folder);
  EXPECT_EQ(again->hash_hex(), tokenizer.hash_hex());
  EXPECT_EQ(again->kind(), tokenizer.kind());
  EXPECT_EQ(again->special(), tokenizer.special());
  EXPECT_EQ(again->encode(text), tokenizer.encode(text));
  for (const auto& [name, content] : tokenizer.files()) EXPECT_TRUE(name.starts_with("tokenizer.")) << name;
}

TEST(ByteTokenizer, IdsAreValuesAndAnOffsetMakesRoomForSpecials) {
  const Scratch s;
  const auto plain = bytes_tokenizer();
  EXPECT_EQ(plain->vocabulary_size(), 256);
  EXPECT_EQ(plain->special(), SpecialIds{});
  const std::string any("\x00\xFFz", 3);
  EXPECT_THAT(plain->encode(any), ElementsAre(0, 255, 122));
  EXPECT_EQ(plain->decode(plain->encode(any)), any);
  const auto shifted = bytes_tokenizer(4);
  EXPECT_EQ(shifted->vocabulary_size(), 260);
  EXPECT_EQ(shifted->special(), (SpecialIds{.unknown = -1, .begin = 2, .end = 1, .pad = 0, .mask = 3}));
  EXPECT_THAT(shifted->encode("a"), ElementsAre(101));
  EXPECT_EQ(shifted->decode(std::vector<int32_t>{1, 101, 0}), "a");
  EXPECT_NE(plain->hash_hex(), shifted->hash_hex());
  EXPECT_EQ(message_of<DataError>([&] { plain->decode(std::vector<int32_t>{256}); }),
            "[tokenizer] id 256 in a vocabulary of 256");
  expect_saved_equal(s, *shifted, any);
}

TEST(CharTokenizer, CodePointsAreSortedAndUnseenOnesRefused) {
  const Scratch s;
  const auto tokenizer = trained(make(TokenizerKind::kChar), "b\xC3\xA9\na\xE4\xBD\xA0");
  EXPECT_EQ(tokenizer->vocabulary_size(), 5);
  EXPECT_THAT(tokenizer->encode("\nab\xC3\xA9\xE4\xBD\xA0"), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(message_of<DataError>([&] { tokenizer->encode("c"); }),
            "[tokenizer] character U+0063 (\"c\") is not in the vocabulary of 5 characters\n"
            "  hint: train the vocabulary on text that holds it, set data.tokenizer.unknown: true, or use kind: byte");
  TokenizerOptions open = make(TokenizerKind::kChar);
  open.unknown = true;
  const auto tolerant = trained(open, "ab");
  EncodedText out;
  tolerant->encode_front("acb", true, out);
  EXPECT_THAT(out.ids, ElementsAre(0, 2, 1));
  EXPECT_EQ(out.unknown, 1);
  expect_saved_equal(s, *tokenizer, "ab");
  expect_saved_equal(s, *tolerant, "ab");
  expect_pieces_equal(*tokenizer,
                      "\xE4\xBD\xA0\xC3\xA9"
                      "ab\n");
  EXPECT_EQ(loaded(TokenizerKind::kChar, s.write("chars.txt",
                                                 "\xE4\xBD\xA0\xC3\xA9"
                                                 "ab\n"))
                ->hash_hex(),
            tokenizer->hash_hex());
}

TEST(WordTokenizer, WordsAndLineEndsAreCountedAsWikiTextDoes) {
  const Scratch s;
  const std::string text = " = Title = \n \n the <unk> cat , the dog\n";
  const auto tokenizer = trained(make(TokenizerKind::kWord), text);
  EXPECT_EQ(tokenizer->vocabulary_size(), 8);  // = the , Title cat dog and <unk> <eos>
  const std::vector<int32_t> ids = tokenizer->encode(text);
  EXPECT_EQ(ids.size(), 12u);  // 9 words and 3 line ends
  EXPECT_EQ(tokenizer->decode(ids), "= Title =\n\nthe <unk> cat , the dog\n");
  EXPECT_EQ(tokenizer->piece(ids[3]), "<eos>");
  EXPECT_EQ(tokenizer->encode("cat").size(), 2u) << "a last line without its end has one too";
  EXPECT_EQ(tokenizer->encode("").size(), 0u);
  EncodedText out;
  tokenizer->encode_front("<unk> bird", true, out);
  EXPECT_EQ(out.unknown, 1) << "a literal <unk> is a word like others";
  EXPECT_EQ(out.ids[0], out.ids[1]);
  expect_saved_equal(s, *tokenizer, text);
  for (const std::string& piecewise : std::vector<std::string>{text, "a  b", "a b ", " ", "x\n y"})
    expect_pieces_equal(*tokenizer, piecewise);
  const auto limited = trained(make(TokenizerKind::kWord, 4), "b b a a c");
  EXPECT_EQ(limited->vocabulary_size(), 4);
  EXPECT_EQ(limited->decode(limited->encode("a b c")), "a b <unk>\n");
}

TEST(WordTokenizer, VocabularyFilesAreReadInTheirOrder) {
  const Scratch s;
  const auto tokenizer = loaded(TokenizerKind::kWord, s.write("vocab.txt", "the\n<unk>\ncat\r\n<eos>"));
  EXPECT_THAT(tokenizer->encode("cat the dog\n"), ElementsAre(2, 0, 1, 3));
  const auto refused = [&](const std::string& content) {
    return message_of<DataError>([&] { loaded(TokenizerKind::kWord, s.write("bad.txt", content)); });
  };
  EXPECT_EQ(refused("a\nb\na\n"),
            "[tokenizer] " + s.path("bad.txt") + ": \"a\" stands twice in the vocabulary, at 0 and 2");
  EXPECT_THAT(refused("a\n\nb"), HasSubstr("word 1 is empty"));
  EXPECT_THAT(refused("a b\n"), HasSubstr("holds white space"));
  EXPECT_THAT(refused("a\xFF\n"), HasSubstr("is no UTF-8"));
  EXPECT_THAT(refused(std::string(1 << 20, 'x')), HasSubstr("has 1048576 bytes, at most 65536 are read"));
  EXPECT_THAT(refused(""), HasSubstr("is empty"));
}

TEST(BpeTokenizer, EqualsThePublicImplementationOnGoldenCases) {
  const auto tokenizer = loaded(TokenizerKind::kBpe, golden("bpe_tokenizer.json"));
  const Json cases = Json::parse(read_all(golden("bpe_cases.json")));
  ASSERT_GT(cases.size(), 200u);
  for (const Json& one : cases) {
    const std::string text = one["text"];
    const std::vector<int32_t> expected = one["ids"];
    EXPECT_EQ(tokenizer->encode(text), expected) << one["text"];
    expect_pieces_equal(*tokenizer, text);
    EncodedText out;
    tokenizer->encode_front(text, true, out);
    if (out.unknown == 0) {
      EXPECT_EQ(tokenizer->decode(out.ids), text);
    }
  }
}

TEST(BpeTokenizer, TrainingEqualsThePublicTrainer) {
  const auto corpus = [](const std::function<void(std::string_view)>& take) {
    DataEntry e = entry(source_folder() + "/data/corpora/tinyshakespeare.txt.gz");
    std::string text;
    corpus_text({e}, {})([&](std::string_view piece) { text += piece; });
    take(text.substr(0, 60000));
    take(read_all(golden("bpe_extra.txt")));
    take({});
  };
  const auto tokenizer = train_tokenizer(make(TokenizerKind::kBpe, 700), corpus);
  const Json json = Json::parse(tokenizer->files().at(0).second);
  const Json expected = Json::parse(read_all(golden("bpe_tokenizer.json")));
  ASSERT_EQ(json["model"]["merges"].size(), 443u);
  for (size_t i = 0; i < 443; ++i) {
    const Json& pair = expected["model"]["merges"][i];
    EXPECT_EQ(json["model"]["merges"][i], pair[0].get<std::string>() + " " + pair[1].get<std::string>()) << i;
  }
  Json vocabulary = expected["model"]["vocab"];
  vocabulary["<|endoftext|>"] = 699;
  EXPECT_EQ(json["model"]["vocab"], vocabulary);
  EXPECT_EQ(tokenizer->special().end, 699);
}

TEST(BpeTokenizer, AnyBytesComeBackAndLongWordsTakeLittleTime) {
  const Scratch s;
  const auto tokenizer = loaded(TokenizerKind::kBpe, golden("bpe_tokenizer.json"));
  EXPECT_TRUE(tokenizer->lossless());
  std::string all;
  for (int i = 0; i < 2000; ++i) all += static_cast<char>(i * 37 % 256);
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(all)), all);
  expect_pieces_equal(*tokenizer, all);
  const std::string run(3 << 20, 'e');
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(run)), run);
  expect_saved_equal(s, *tokenizer, all);
}

TEST(BpeTokenizer, VocabularyAndMergesFilesGiveTheSameIds) {
  const Scratch s;
  const Json json = Json::parse(read_all(golden("bpe_tokenizer.json")));
  Json vocabulary = json["model"]["vocab"];
  vocabulary["<|endoftext|>"] = 699;
  std::string merges = "#version: 0.2\n";
  for (const Json& pair : json["model"]["merges"])
    merges += pair[0].get<std::string>() + " " + pair[1].get<std::string>() + "\n";
  s.write("vocab.json", vocabulary.dump());
  s.write("merges.txt", merges);
  const auto pair = load_tokenizer_folder(s.path(""));
  const auto whole = loaded(TokenizerKind::kBpe, golden("bpe_tokenizer.json"));
  const std::string text = "First Citizen:\nBefore we proceed<|endoftext|> any further, don't";
  EXPECT_EQ(pair->encode(text), whole->encode(text));
  EXPECT_EQ(pair->special().end, 699);
}

class HostileBpe : public ::testing::Test {
 protected:
  HostileBpe() {
    Json vocabulary;
    for (int b = 0; b < 26; ++b) vocabulary[std::string(1, static_cast<char>('a' + b))] = b;
    vocabulary["ab"] = 26;
    vocabulary["abc"] = 27;
    json_ = {{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"a b", "ab c"}}}},
             {"pre_tokenizer", {{"type", "ByteLevel"}}}};
  }
  std::string refused() { return refused(json_.dump()); }
  std::string refused(const std::string& text) {
    const std::string path = scratch_.write("tokenizer.json", text);
    std::string message = message_of<DataError>([&] { loaded(TokenizerKind::kBpe, path); });
    EXPECT_THAT(message, HasSubstr("[tokenizer] " + path));
    return message;
  }
  Json& vocabulary() { return json_["model"]["vocab"]; }
  Json& merges() { return json_["model"]["merges"]; }
  Scratch scratch_;
  Json json_;
};

TEST_F(HostileBpe, SoundFileLoads) {
  const auto tokenizer = loaded(TokenizerKind::kBpe, scratch_.write("tokenizer.json", json_.dump()));
  EXPECT_THAT(tokenizer->encode("abcab"), ElementsAre(27, 26));
  EXPECT_THAT(message_of<DataError>([&] { tokenizer->encode("A"); }), HasSubstr("a byte is not in the vocabulary"));
}

TEST_F(HostileBpe, IdsOutOfRangeTwiceOrMissing) {
  vocabulary()["ab"] = -1;
  EXPECT_THAT(refused(), HasSubstr("id -1 of \"ab\" is out of range"));
  vocabulary()["ab"] = uint64_t{1} << 40;
  EXPECT_THAT(refused(), HasSubstr("id 1099511627776 of \"ab\" is out of range"));
  vocabulary()["ab"] = 27;
  EXPECT_THAT(refused(), HasSubstr("id 27 belongs to both"));
  vocabulary()["ab"] = 40;
  EXPECT_THAT(refused(), HasSubstr("no piece has id 26, the largest id is 40"));
  vocabulary()["ab"] = 26.5;
  EXPECT_THAT(refused(), HasSubstr("expected a whole number"));
}

TEST_F(HostileBpe, PiecesEmptyTooLongTwiceOrNotOfBytes) {
  vocabulary()[""] = 28;
  EXPECT_THAT(refused(), HasSubstr("the piece of id 28 is empty"));
  vocabulary().erase("");
  vocabulary()[std::string(1 << 20, 'a')] = 28;
  EXPECT_THAT(refused(), HasSubstr("a name of 1048576 bytes, at most 65536 are read"));
  vocabulary().erase(std::string(1 << 20, 'a'));
  vocabulary()["\xE4\xBD\xA0"] = 28;
  EXPECT_THAT(refused(), HasSubstr("stands for no byte"));
  EXPECT_THAT(refused("{\"model\": {\"vocab\": {\"a\": 0, \"a\": 1}}}"), HasSubstr("\"a\" stands twice in one object"));
  vocabulary().erase("\xE4\xBD\xA0");
  vocabulary()["\xC4\x80"] = 28;  // the symbol of NUL
  EXPECT_THAT(loaded(TokenizerKind::kBpe, scratch_.write("t.json", json_.dump()))->encode(std::string("a\0", 2)),
              ElementsAre(0, 28));
}

TEST_F(HostileBpe, MergesInCirclesUnknownOrTwice) {
  merges() = {"ab c", "a b"};
  EXPECT_THAT(refused(), HasSubstr("merge 0 joins \"ab\", which no merge before it makes (a cycle, or a wrong order)"));
  merges() = {"a b", "x y"};
  EXPECT_THAT(refused(), HasSubstr("merge 1 makes \"xy\", which is no piece"));
  merges() = {"a B"};
  EXPECT_THAT(refused(), HasSubstr("merge 0 joins \"B\", which is no piece"));
  merges() = {"a b", "a b"};
  EXPECT_THAT(refused(), HasSubstr("stands twice"));
  for (const char* bad : {"ab", "a b c", " b", "a "}) {
    merges() = {bad};
    EXPECT_THAT(refused(), HasSubstr("expected two pieces and one blank")) << bad;
  }
}

TEST_F(HostileBpe, OtherKindsOfTokenizerAreRefusedByName) {
  const auto with = [&](const char* pointer, const Json& value) {
    Json changed = json_;
    changed[Json::json_pointer(pointer)] = value;
    return refused(changed.dump());
  };
  EXPECT_THAT(with("/model/type", "WordPiece"), HasSubstr("model.type is WordPiece, expected BPE"));
  EXPECT_THAT(with("/normalizer", {{"type", "NFC"}}), HasSubstr("normalizer = {\"type\":\"NFC\"} is not supported"));
  EXPECT_THAT(with("/pre_tokenizer", {{"type", "Whitespace"}}), HasSubstr("pre_tokenizer is not ByteLevel"));
  EXPECT_THAT(with("/pre_tokenizer/add_prefix_space", true), HasSubstr("add_prefix_space = true is not supported"));
  EXPECT_THAT(with("/model/dropout", 0.1), HasSubstr("dropout = 0.1 is not supported"));
  EXPECT_THAT(with("/model/end_of_word_suffix", "</w>"), HasSubstr("end_of_word_suffix"));
  EXPECT_THAT(with("/model/unk_token", "<nope>"), HasSubstr("the unknown piece \"<nope>\" is not in the vocabulary"));
  EXPECT_THAT(with("/added_tokens", Json::array({{{"id", 28}, {"content", ""}}})),
              HasSubstr("an added token is empty"));
  EXPECT_THAT(with("/added_tokens", Json::array({{{"id", 27}, {"content", "<x>"}}})),
              HasSubstr("id 27 belongs to both"));
  EXPECT_THAT(with("/model", 5), HasSubstr("model.type is number"));
  EXPECT_THAT(refused("[]"), HasSubstr("expected an object, found array"));
  EXPECT_THAT(refused(std::string(50000, '[')), HasSubstr("nested deeper than 32 levels"));
  EXPECT_THAT(refused(""), HasSubstr("is malformed"));
}

TEST_F(HostileBpe, TenMillionEntriesAreRefused) {
  std::string text = "{\"model\": {\"type\": \"BPE\", \"vocab\": {";
  for (int i = 0; i < 10'000'000; ++i) text += "\"" + std::to_string(i) + "\":" + std::to_string(i) + ",";
  EXPECT_THAT(refused(text + "\"x\":10000000}}}"), HasSubstr("more than 1000000 entries"));
}

TEST(TokenizerFiles, EveryMutationLoadsOrIsRefused) {
  const Scratch s;
  const std::string sound = trained(make(TokenizerKind::kBpe, 262), "aaa bbb aaa bbb ab ab")->files().at(0).second;
  const std::string words = trained(make(TokenizerKind::kWord), "some words")->files().at(0).second;
  uint64_t state = 12345;
  const auto random = [&state](uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  int refused = 0;
  for (int round = 0; round < 600; ++round) {
    std::string text = round % 2 ? sound : words;
    for (uint64_t n = 1 + random(3); n > 0; --n) {
      const size_t at = random(text.size());
      switch (random(4)) {
        case 0:
          text[at] = static_cast<char>(random(256));
          break;
        case 1:
          text.erase(at, 1 + random(9));
          break;
        case 2:
          text.insert(at, text.substr(random(text.size()), random(20)));
          break;
        default:
          text.insert(at, std::string(1, "0123456789-\"{}[],:"[random(18)]));
      }
      if (text.empty()) text = " ";
    }
    s.write("tokenizer.json", text);
    try {
      const auto tokenizer = load_tokenizer_folder(s.path(""));
      EncodedText out;
      try {
        tokenizer->encode_front("aaa bbb some", true, out);
      } catch (const DataError&) {
      }
      for (const int32_t id : out.ids) ASSERT_LT(id, tokenizer->vocabulary_size());
    } catch (const DataError&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 100);
}

TEST(TokenizerFiles, MissingAndForeignFilesAreNamed) {
  const Scratch s;
  EXPECT_THAT(message_of<DataError>([&] { loaded(TokenizerKind::kBpe, s.path("none.json")); }),
              HasSubstr("none.json does not exist"));
  EXPECT_THAT(message_of<DataError>([&] { load_tokenizer_folder(s.path("")); }), HasSubstr("holds no tokenizer"));
  bytes_tokenizer(3)->save(s.path(""));
  EXPECT_THAT(message_of<DataError>([&] { loaded(TokenizerKind::kChar, s.path("")); }),
              HasSubstr("holds a byte tokenizer, expected char"));
  EXPECT_THAT(message_of<DataError>([&] { trained(make(TokenizerKind::kBpe, 5000), "too little text"); }),
              HasSubstr("asks for more"));
  EXPECT_THAT(message_of<ConfigError>([&] { trained(make(TokenizerKind::kBpe), "text"); }),
              HasSubstr("is trained to a size"));
}

}  // namespace
}  // namespace longhaul::data
