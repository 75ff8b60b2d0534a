#include "train/commands/data.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "train/commands/tokenizer.h"

namespace longhaul::cli {
namespace {

using ::testing::HasSubstr;
using Json = nlohmann::json;

/// A folder of its own, with the cache of token shards inside, and what commands print.
class DataCommands : public ::testing::Test {
 protected:
  DataCommands() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() / ("longhaul-" + std::to_string(::getpid()) + "-" + test->name());
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    ::setenv("LONGHAUL_CACHE", path("cache").c_str(), 1);
  }
  ~DataCommands() override {
    ::unsetenv("LONGHAUL_CACHE");
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  /// What a command writes to standard output.
  template <typename Options>
  std::string output(int (*command)(const Options&, Console&), const Options& options) const {
    std::FILE* out = std::fopen(path("out").c_str(), "w+");
    {
      Console console({}, out, stderr);
      EXPECT_EQ(command(options, console), 0);
    }
    std::fclose(out);
    std::ifstream in(path("out"), std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  template <typename E, typename Options>
  std::string failure(int (*command)(const Options&, Console&), const Options& options) const {
    try {
      output(command, options);
    } catch (const E& error) {
      return error.what();
    }
    ADD_FAILURE() << "nothing was thrown";
    return {};
  }
  TokenizerOptions tokenizer(TokenizerOptions::Action action, const std::string& where) const {
    TokenizerOptions options;
    options.action = action;
    options.path = where;
    return options;
  }

 private:
  std::filesystem::path folder_;
};

using Action = TokenizerOptions::Action;

TEST_F(DataCommands, TokenizerIsTrainedDescribedAndUsed) {
  TokenizerOptions train;
  train.action = Action::kTrain;
  train.data.paths = {write("t.txt", "abcab\n")};
  train.make.kind = data::TokenizerKind::kChar;
  train.out = path("tok");
  train.json = true;
  const Json made = Json::parse(output(run_tokenizer, train));
  EXPECT_EQ(made["vocabulary"], 4);
  EXPECT_THAT(failure<ConfigError>(run_tokenizer, train), HasSubstr("holds a tokenizer already"));

  TokenizerOptions info = tokenizer(Action::kInfo, path("tok"));
  EXPECT_THAT(output(run_tokenizer, info), HasSubstr("vocabulary  4 ids"));
  info.json = true;
  EXPECT_EQ(Json::parse(output(run_tokenizer, info))["sha256"], made["sha256"]);

  TokenizerOptions encode = tokenizer(Action::kEncode, path("tok/tokenizer.json"));
  encode.text = "cab";
  EXPECT_EQ(output(run_tokenizer, encode), "3 1 2\n");
  encode.json = true;
  const Json encoded = Json::parse(output(run_tokenizer, encode));
  EXPECT_EQ(encoded["ids"], Json({3, 1, 2}));
  EXPECT_EQ(encoded["pieces"], Json({"c", "a", "b"}));

  TokenizerOptions decode = tokenizer(Action::kDecode, path("tok"));
  decode.ids = {"3 1", "2"};
  EXPECT_EQ(output(run_tokenizer, decode), "cab");
  decode.ids = {"3x"};
  EXPECT_THAT(failure<DataError>(run_tokenizer, decode), HasSubstr("\"3x\" is no id"));
  decode.ids = {"4"};
  EXPECT_THAT(failure<DataError>(run_tokenizer, decode), HasSubstr("id 4 in a vocabulary of 4"));
  EXPECT_THAT(failure<DataError>(run_tokenizer, tokenizer(Action::kInfo, path("none"))),
              HasSubstr("none holds no tokenizer"));
}

TEST_F(DataCommands, PreparedShardsAreWrittenOnceAndDescribed) {
  DataOptions prepare;
  prepare.action = DataOptions::Action::kPrepare;
  prepare.data.paths = {write("t.txt", "one two\n\nthree\n")};
  prepare.data.document = data::DocumentMode::kLine;
  prepare.out = path("c.shard");
  prepare.json = true;
  const Json made = Json::parse(output(run_data, prepare));
  EXPECT_EQ(made["tokens"], 12);
  EXPECT_EQ(made["documents"], 2);
  EXPECT_EQ(made["words"], 3);
  EXPECT_THAT(failure<ConfigError>(run_data, prepare), HasSubstr("exists already"));
  prepare.out = path("c.bin");
  EXPECT_THAT(failure<ConfigError>(run_data, prepare), HasSubstr("does not end in .shard"));

  DataOptions info;
  info.data.paths = {path("c.shard")};
  EXPECT_THAT(output(run_data, info), HasSubstr("tokens                     12"));
  info.json = true;
  EXPECT_EQ(Json::parse(output(run_data, info))["shards"][0]["content_sha256"], made["content_sha256"]);
  info.data = prepare.data;
  const Json text = Json::parse(output(run_data, info));
  EXPECT_EQ(text["document_tokens"]["longest"], 7);
  EXPECT_EQ(text["words"], 3);
  for (const auto& left : std::filesystem::directory_iterator(path(""))) {
    EXPECT_EQ(left.path().string().find(".tmp-"), std::string::npos);
  }
}

TEST_F(DataCommands, ACorpusIsReadWithWhateverTheTokenizerIs) {
  TokenizerOptions train;
  train.action = Action::kTrain;
  train.data.paths = {write("t.txt", "abcab\n")};
  train.make.kind = data::TokenizerKind::kChar;
  train.out = path("tok");
  output(run_tokenizer, train);
  DataOptions info;
  info.data.paths = {path("t.txt")};
  info.tokenizer.path = path("tok");
  info.json = true;
  EXPECT_EQ(Json::parse(output(run_data, info))["tokenizer"], "char");
  info.any_kind = false;
  info.tokenizer.kind = data::TokenizerKind::kWord;
  EXPECT_THAT(failure<DataError>(run_data, info), HasSubstr("holds a char tokenizer, expected word"));
}

TEST_F(DataCommands, BadInputEndsWithDataErrors) {
  DataOptions info;
  info.data.paths = {write("bad.gz", "no gzip")};
  EXPECT_THAT(failure<DataError>(run_data, info), HasSubstr("bad.gz"));
  info.tokenizer.kind = data::TokenizerKind::kWord;
  EXPECT_THAT(failure<ConfigError>(run_data, info), HasSubstr("a word tokenizer is needed as a file"));
}

}  // namespace
}  // namespace longhaul::cli
