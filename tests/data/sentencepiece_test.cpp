#include "data/tokenizers/sentencepiece/sentencepiece.h"

#include <gmock/gmock.h>
#include <sentencepiece_trainer.h>

#include <bit>
#include <limits>

#include "tests/data/scratch.h"
#include "tests/support/paths.h"

namespace longhaul::data {
namespace {

using ::testing::HasSubstr;

/// The first bytes of the embedded corpus.
std::string shakespeare(size_t bytes) {
  std::string text;
  corpus_text({entry(source_folder() + "/data/corpora/tinyshakespeare.txt.gz")},
              {})([&](std::string_view piece) { text += piece; });
  return text.substr(0, bytes);
}

TokenizerOptions make(SentencePieceModel model, int64_t size) {
  TokenizerOptions options;
  options.kind = TokenizerKind::kSentencePiece;
  options.vocabulary_size = size;
  options.model = model;
  return options;
}

const Tokenizer& unigram() {
  static const auto tokenizer = trained(make(SentencePieceModel::kUnigram, 500), shakespeare(30000));
  return *tokenizer;
}

std::string model_of(const Tokenizer& tokenizer) { return tokenizer.files().at(1).second; }

TEST(SentencePiece, TrainedModelsGiveAnyBytesBack) {
  const auto bpe = trained(make(SentencePieceModel::kBpe, 500), shakespeare(30000));
  for (const Tokenizer* tokenizer : {&unigram(), bpe.get()}) {
    EXPECT_EQ(tokenizer->vocabulary_size(), 500);
    EXPECT_TRUE(tokenizer->lossless());
    EXPECT_EQ(tokenizer->special(), (SpecialIds{.unknown = 0, .begin = 1, .end = 2, .pad = 3, .mask = -1}));
    std::string any;
    for (int i = 0; i < 3000; ++i) any += static_cast<char>(i * 89 % 256);
    for (const std::string& text : std::vector<std::string>{
             "", " ", "  two  blanks  ", "\n\n a\n", "tab\tand\r\n", std::string("nul\0.", 5),
             "\xE2\x96\x81 \xE2\x96\x85", "<0x41><s></s><unk>", "caf\xC3\xA9 \xE4\xBD\xA0\xF0\x9F\x98\x80", "1234567",
             any, shakespeare(40000).substr(30000)}) {
      EncodedText out;
      tokenizer->encode_front(text, true, out);
      EXPECT_EQ(tokenizer->decode(out.ids), text);
      EXPECT_EQ(out.unknown, 0) << text;
    }
    EXPECT_LT(tokenizer->encode(shakespeare(10000)).size(), 6000u);
  }
}

TEST(SentencePiece, TrainingTwiceGivesTheSameFile) {
  const auto again = trained(make(SentencePieceModel::kUnigram, 500), shakespeare(30000));
  EXPECT_EQ(again->hash_hex(), unigram().hash_hex());
}

TEST(SentencePiece, PiecesOfATextGiveTheIdsOfTheWhole) {
  const std::string text = shakespeare(3000) + std::string(200000, 'a') + " " + std::string(70000, 'b') + "\nend";
  const std::vector<int32_t> whole = unigram().encode(text);
  EXPECT_EQ(unigram().decode(whole), text);
  for (const size_t step : {100u, 4096u, 100000u}) {
    EncodedText out;
    std::string buffer;
    for (size_t at = 0; at < text.size(); at += step) {
      buffer += text.substr(at, step);
      buffer.erase(0, unigram().encode_front(buffer, false, out));
      EXPECT_LE(buffer.size(), SentencePieceTokenizer::kLongestLine);
    }
    unigram().encode_front(buffer, true, out);
    EXPECT_EQ(out.ids, whole);
  }
}

TEST(SentencePiece, SavesItsModelAndLoadsFromAFileOrFolder) {
  const Scratch s;
  unigram().save(s.path(""));
  EXPECT_EQ(load_tokenizer_folder(s.path(""))->hash_hex(), unigram().hash_hex());
  TokenizerOptions options = make(SentencePieceModel::kUnigram, 0);
  options.path = s.path("tokenizer.model");
  EXPECT_EQ(load_tokenizer(options)->hash_hex(), unigram().hash_hex());
}

TEST(SentencePiece, PublicFoldersHoldTheModelUnderOtherNames) {
  for (const std::string name : {"spiece.model", "sentencepiece.bpe.model"}) {
    const Scratch s;
    s.write(name + "-alone/" + name, model_of(unigram()));
    EXPECT_EQ(load_tokenizer_folder(s.path(name + "-alone"))->hash_hex(), unigram().hash_hex());
    s.write(name + "-both/tokenizer.json", R"({"model": {"type": "Unigram", "vocab": [["<unk>", 0.0]]}})");
    EXPECT_THAT(message_of<DataError>([&] { load_tokenizer_folder(s.path(name + "-both")); }), HasSubstr("put spiece.model"));
    s.write(name + "-both/" + name, model_of(unigram()));
    EXPECT_EQ(load_tokenizer_folder(s.path(name + "-both"))->hash_hex(), unigram().hash_hex());
  }
}

TEST(SentencePiece, ImpossibleSizesAreRefused) {
  EXPECT_THAT(message_of<DataError>([] { trained(make(SentencePieceModel::kUnigram, 5000), "a few words only"); }),
              HasSubstr("training failed"));
  EXPECT_THAT(message_of<ConfigError>([] { trained(make(SentencePieceModel::kBpe, 0), "x"); }),
              HasSubstr("is trained to a size"));
  EXPECT_THAT(message_of<ConfigError>([] { trained(make(SentencePieceModel::kBpe, 100), "x"); }),
              HasSubstr("expected 262"));
  EXPECT_THAT(message_of<DataError>([] { trained(make(SentencePieceModel::kBpe, 300), "\n\n"); }),
              HasSubstr("the training text is empty"));
}

// Messages of the model's wire format, for files no trainer would write.
std::string varint(uint64_t value) {
  std::string out;
  while (value >= 0x80) {
    out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  return out + static_cast<char>(value);
}
std::string block(uint64_t field, const std::string& bytes) {
  return varint(field << 3 | 2) + varint(bytes.size()) + bytes;
}
std::string piece(const std::string& text, uint64_t type = 1, float score = -1) {
  const auto bits = std::bit_cast<uint32_t>(score);
  return block(1, block(1, text) + varint(2 << 3 | 5) + std::string(reinterpret_cast<const char*>(&bits), 4) +
                      varint(3 << 3) + varint(type));
}

std::string refused(const std::string& model) {
  return message_of<DataError>([&] { SentencePieceTokenizer(model, "x.model"); });
}

TEST(HostileSentencePiece, EachFaultHasItsMessage) {
  const std::string base = piece("<unk>", 2) + piece("a");
  EXPECT_NO_THROW(SentencePieceTokenizer(base, "x.model"));
  EXPECT_THAT(refused(""), HasSubstr("x.model is no SentencePiece model: it has no pieces"));
  EXPECT_THAT(refused("plain text, no model"), HasSubstr("x.model is no SentencePiece model"));
  EXPECT_THAT(refused(base.substr(0, base.size() - 1)), HasSubstr("cut off"));
  EXPECT_THAT(refused(base + piece("")), HasSubstr("piece 2 is empty"));
  EXPECT_THAT(refused(base + piece("a")), HasSubstr("piece \"a\" has two ids, 1 and 2"));
  EXPECT_THAT(refused(base + piece(std::string(1 << 20, 'x'))),
              HasSubstr("piece 2 has 1048576 bytes, at most 4096 are read"));
  EXPECT_THAT(refused(base + piece("b", 1, std::numeric_limits<float>::quiet_NaN())),
              HasSubstr("the score of piece 2 is nan"));
  EXPECT_THAT(refused(base + piece("b", 1, std::numeric_limits<float>::infinity())),
              HasSubstr("the score of piece 2 is inf"));
  EXPECT_THAT(refused(base + piece("b", 9)), HasSubstr("piece 2 has type 9"));
  EXPECT_THAT(refused(base + piece("<unk2>", 2)), HasSubstr("2 unknown pieces, expected 1"));
  EXPECT_THAT(refused(piece("a")), HasSubstr("0 unknown pieces, expected 1"));
  EXPECT_THAT(refused(base + piece("<0x1>", 6)), HasSubstr("byte piece 2 is \"<0x1>\""));
  EXPECT_THAT(refused(base + block(2, varint(35 << 3) + varint(1))), HasSubstr("byte fallback without a piece <0x00>"));
  EXPECT_THAT(refused(base + block(2, varint(3 << 3) + varint(3))), HasSubstr("model type 3"));
  EXPECT_THAT(refused(base + block(3, block(2, "abc"))), HasSubstr("the character map is malformed: too short"));
  EXPECT_THAT(refused(base + block(3, block(2, std::string("\xFF\xFF\xFF\x7F"
                                                           "abcd\0",
                                                           9)))),
              HasSubstr("length of its index"));
}

TEST(HostileSentencePiece, AMillionPiecesAreTheLimit) {
  std::string model = piece("<unk>", 2);
  for (int i = 0; i < 1'000'001; ++i) model += piece(std::to_string(i));
  EXPECT_THAT(refused(model), HasSubstr("more than 1000000 pieces"));
}

/// A model with the library's usual normalisation, whose character map is the delicate part.
std::string normalizing_model() {
  struct Lines : sentencepiece::SentenceIterator {
    std::vector<std::string> all;
    size_t at = 0;
    bool done() const override { return at >= all.size(); }
    void Next() override { ++at; }
    const std::string& value() const override { return all[at]; }
    sentencepiece::util::Status status() const override { return {}; }
  } lines;
  const std::string text = shakespeare(5000);
  for (size_t at = 0; at < text.size(); at += 50) lines.all.push_back(text.substr(at, 49));
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(
      {{"vocab_size", "120"}, {"minloglevel", "2"}, {"num_threads", "1"}}, &lines, &model);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return model;
}

TEST(HostileSentencePiece, UsualNormalizationLoadsAndIsLossy) {
  const SentencePieceTokenizer tokenizer(normalizing_model(), "nfkc.model");
  EXPECT_EQ(tokenizer.fidelity(), Fidelity::kLossy);
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("  the \xEF\xBD\x81")), "the a");  // full-width a
}

TEST(HostileSentencePiece, EveryMutationLoadsOrIsRefused) {
  uint64_t state = 99;
  const auto random = [&state](uint64_t below) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % below;
  };
  int refusals = 0;
  const std::string models[] = {model_of(unigram()), normalizing_model()};
  for (int round = 0; round < 300; ++round) {
    std::string model = models[round % 2];
    for (uint64_t n = 1 + random(4); n > 0; --n) {
      const size_t at = random(model.size());
      switch (random(3)) {
        case 0:
          model[at] = static_cast<char>(random(256));
          break;
        case 1:
          model[at] = static_cast<char>(model[at] ^ (1 << random(8)));
          break;
        default:
          model.resize(model.size() - random(20));
      }
    }
    try {
      const SentencePieceTokenizer tokenizer(model, "mutant.model");
      for (const int32_t id : tokenizer.encode("First Citizen: caf\xC3\xA9 \xEF\xBD\x81\n12")) {
        ASSERT_TRUE(id >= 0 && id < tokenizer.vocabulary_size());
      }
    } catch (const DataError&) {
      ++refusals;
    }
  }
  EXPECT_GT(refusals, 50);
}

}  // namespace
}  // namespace longhaul::data
