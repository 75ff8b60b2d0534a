// Every file under configs/ is read by the loader that training uses, with and without LONGHAUL_DATA.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "framework/base/error.h"
#include "models/compressive/options.h"
#include "models/local/options.h"
#include "models/recurrent/options.h"
#include "train/config/load.h"
#include "tests/support/paths.h"

namespace longhaul {
namespace {

namespace fs = std::filesystem;
using config::Config;
using testing::EndsWith;

const fs::path kFolder = fs::path(source_folder()) / "configs";

std::vector<std::string> files(bool bases) {
  std::vector<std::string> found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(kFolder)) {
    const fs::path name = fs::relative(entry.path(), kFolder);
    if (name.extension() == ".yaml" && (*name.begin() == "base") == bases) found.push_back(name.string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

Config load(const std::string& name, const std::vector<std::string>& overrides = {}) {
  return config::load_config((kFolder / name).string(), overrides).config;
}

std::string text_of(const std::string& name) {
  std::ostringstream text;
  text << std::ifstream(kFolder / name).rdbuf();
  return text.str();
}

std::string printable(const testing::TestParamInfo<std::string>& info) {
  std::string name = info.param;
  for (char& letter : name) letter = std::isalnum(static_cast<unsigned char>(letter)) ? letter : '_';
  return name;
}

class Runnable : public testing::TestWithParam<std::string> {
 protected:
  void TearDown() override { unsetenv("LONGHAUL_DATA"); }
};

TEST_P(Runnable, PassesTheLoaderAndIsReadBackEqualFromItsResolvedForm) {
  const Config config = load(GetParam());
  EXPECT_FALSE(config.data.train.empty());
  const std::string resolved = config::resolved_yaml(config);
  const fs::path copy = fs::path(testing::TempDir()) / ("resolved_" + fs::path(GetParam()).filename().string());
  std::ofstream(copy) << resolved;
  EXPECT_EQ(config::resolved_yaml(config::load_config(copy.string()).config), resolved);
  fs::remove(copy);
}

TEST_P(Runnable, TakesItsTextsFromTheFolderNamedByTheEnvironment) {
  setenv("LONGHAUL_DATA", "/somewhere/else", 1);
  const Config config = load(GetParam());
  for (const auto& entry : config.data.train) EXPECT_THAT(entry.path, testing::StartsWith("/somewhere/else/"));
  for (const auto& entry : config.data.valid) EXPECT_THAT(entry.path, testing::StartsWith("/somewhere/else/"));
}

TEST_P(Runnable, NamesARunFolderOfItsOwn) {
  const std::string name = load(GetParam()).run.name;
  for (const std::string& other : files(false)) {
    if (other == GetParam()) continue;
    EXPECT_NE(name, load(other).run.name) << other;
  }
}

TEST_P(Runnable, BeginsWithALineThatSaysWhatItIs) { EXPECT_THAT(text_of(GetParam()), testing::StartsWith("# ")); }

INSTANTIATE_TEST_SUITE_P(Configs, Runnable, testing::ValuesIn(files(false)), printable);

class Base : public testing::TestWithParam<std::string> {};

TEST_P(Base, PassesTheLoaderOnceTextsAndAnEndAreGiven) {
  EXPECT_NO_THROW(load(GetParam(), {"data.train=[text.txt]", "train.steps=1000"}));
}

INSTANTIATE_TEST_SUITE_P(Configs, Base, testing::ValuesIn(files(true)), printable);

// Files that others rely on by name keep the figures they are known for.

TEST(Configs, TheCharacterModelIsTheOneWhoseLossIsPublished) {
  const Config config = load("shakespeare-char.yaml");
  const models::BodyOptions& body = config.model.options->body;
  EXPECT_EQ(config.model.family, "transformer");
  EXPECT_EQ(std::tuple(body.layers, body.heads, body.dim, body.dropout, body.tied_embeddings),
            std::tuple(4, 4, 128, 0.0, true));
  EXPECT_EQ(config.data.sequence_length, 64);
  EXPECT_EQ(config.data.tokenizer.kind, data::TokenizerKind::kChar);
  EXPECT_EQ(std::tuple(config.train.batch_size, config.train.steps, config.train.clip_norm), std::tuple(12, 2000, 1.0));
  const config::OptimizerConfig& optimizer = config.train.optimizer;
  EXPECT_EQ(std::tuple(optimizer.learning_rate, optimizer.weight_decay, optimizer.betas),
            std::tuple(1e-3, 0.1, std::vector<double>{0.9, 0.99}));
  EXPECT_EQ(config.train.schedule.kind, config::ScheduleKind::kCosine);
  EXPECT_EQ(config.train.schedule.warmup.amount, 100);
  EXPECT_DOUBLE_EQ(config.train.schedule.final * optimizer.learning_rate, 1e-4);
  ASSERT_EQ(std::tuple(config.data.train.size(), config.data.valid.size()), std::tuple(1u, 1u));
  EXPECT_EQ(config.data.train[0].path, config.data.valid[0].path);
  EXPECT_EQ(config.data.train[0].part, units::parse_percent_range("0%..90%"));
  EXPECT_EQ(config.data.valid[0].part, units::parse_percent_range("90%..100%"));
}

TEST(Configs, TheModelsOfTheSpeedComparisonAreThoseOfThePeer) {
  for (const char* name : {"bench/dense.yaml", "bench/window.yaml"}) {
    const Config config = load(name);
    const models::BodyOptions& body = config.model.options->body;
    EXPECT_EQ(std::tuple(body.layers, body.dim, body.heads, body.feedforward, body.dropout),
              std::tuple(6, 512, 8, 2048, 0.0));
    EXPECT_EQ(
        std::tuple(body.activation, body.norm, body.positions, body.tied_embeddings, body.bias),
        std::tuple(models::Activation::kGelu, models::NormPlacement::kPre, models::Positions::kLearned, false, true));
    EXPECT_EQ(config.data.tokenizer.kind, data::TokenizerKind::kByte);
    EXPECT_EQ(std::tuple(config.train.optimizer.kind, config.train.optimizer.learning_rate),
              std::tuple(config::OptimizerKind::kAdamW, 3e-4));
  }
  const auto& window = dynamic_cast<const models::LocalOptions&>(*load("bench/window.yaml").model.options);
  EXPECT_EQ(std::tuple(window.window, window.kind), std::tuple(512, models::LocalKind::kSliding));
}

TEST(Configs, TheBooksComeDenseAndWithAWindow) {
  EXPECT_EQ(load("books-4k.yaml").data.sequence_length, 4096);
  EXPECT_EQ(load("books-4k.yaml").model.family, "transformer");
  const Config window = load("books-64k.yaml");
  EXPECT_EQ(window.data.sequence_length, 65536);
  EXPECT_EQ(dynamic_cast<const models::LocalOptions&>(*window.model.options).window, 512);
  EXPECT_EQ(window.memory.recompute, config::Recompute::kLayer);
  EXPECT_GT(window.memory.chunk_feedforward, 0);
}

TEST(Configs, OtherObjectivesReadTheSameBooksAndListOps) {
  EXPECT_EQ(load("books-masked.yaml").data.objective.kind, data::ObjectiveKind::kMasked);
  EXPECT_EQ(load("books-masked.yaml").model.options->body.form, models::Form::kEncoder);
  EXPECT_EQ(load("books-gap-sentences.yaml").data.objective.kind, data::ObjectiveKind::kGapSentences);
  EXPECT_EQ(load("books-gap-sentences.yaml").model.options->body.form, models::Form::kEncoderDecoder);
  const Config listops = load("listops-transformer.yaml");
  EXPECT_EQ(listops.data.objective.kind, data::ObjectiveKind::kClassify);
  EXPECT_EQ(std::tuple(listops.data.train[0].text, listops.data.train[0].label), std::tuple("Source", "Target"));
  EXPECT_GE(listops.data.sequence_length, 2002) << "1,999 words, the line end and two marks";
}

TEST(Configs, ExamplesOfPrecisionAndReversibilityDifferFromTheQuickStartByThatAlone) {
  const auto resolved = [](const std::string& name, const std::vector<std::string>& set) {
    return config::resolved_yaml(load(name, set));
  };
  EXPECT_EQ(load("shakespeare-bf16.yaml").run.precision, config::Precision::kBF16);
  EXPECT_EQ(resolved("shakespeare-bf16.yaml", {}),
            resolved("quickstart.yaml", {"run.name=shakespeare-bf16", "run.precision=bf16"}));
  EXPECT_TRUE(load("shakespeare-reversible.yaml").memory.reversible);
  EXPECT_EQ(
      resolved("shakespeare-reversible.yaml", {}),
      resolved("quickstart.yaml", {"run.name=shakespeare-reversible", "model.layers=8", "memory.reversible=true"}));
}

TEST(Configs, RecurrentModelsReadSegmentsOfRealTexts) {
  const auto options_of = [](const Config& config) { return dynamic_cast<const models::RecurrentOptions&>(*config.model.options); };
  const Config words = load("wikitext2-xl.yaml");
  EXPECT_EQ(words.data.tokenizer.kind, data::TokenizerKind::kWord);
  EXPECT_EQ(words.train.steps, 7300);
  EXPECT_EQ(options_of(words).memory.eval_length, 640);
  EXPECT_EQ(options_of(words).adaptive.cutoffs, (std::vector<int64_t>{4000, 12000}));
  for (const char* name : {"enwik8-xl.yaml", "text8-xl.yaml"}) {
    const Config config = load(name);
    EXPECT_EQ(config.model.family, "transformer_xl");
    EXPECT_FALSE(options_of(config).body.tied_embeddings);
    ASSERT_EQ(config.data.train.size(), 1u);
    EXPECT_EQ(config.data.train[0].part, units::parse_percent_range("0%..90%"));
    EXPECT_EQ(config.data.valid[0].part, units::parse_percent_range("90%..95%"));
  }
  EXPECT_EQ(options_of(load("text8-xl.yaml")).memory.bptt_segments, 2);
  EXPECT_EQ(options_of(load("books-xl.yaml")).memory.reset, models::MemoryReset::kDocument);
  const Config bench = load("bench/transformer-xl.yaml");
  EXPECT_EQ(std::tuple(bench.train.batch_size, bench.data.sequence_length, options_of(bench).memory.length, options_of(bench).adaptive.cutoffs.size()),
            std::tuple(8, 512, 512, 0u));
}

TEST(Configs, CompressiveModelsReadSegmentsOfRealTexts) {
  const auto options_of = [](const Config& config) { return dynamic_cast<const models::CompressiveOptions&>(*config.model.options); };
  for (const char* name : {"books-compressive.yaml", "enwik8-compressive.yaml", "text8-compressive.yaml"}) EXPECT_EQ(load(name).model.family, "compressive");
  const Config books = load("books-compressive.yaml");
  EXPECT_EQ(std::tuple(books.data.sequence_length, options_of(books).memory.length, options_of(books).compressed), std::tuple(512, 512, 512));
  EXPECT_EQ(options_of(books).memory.reset, models::MemoryReset::kDocument);
  EXPECT_EQ(options_of(load("text8-compressive.yaml")).compression.loss, models::CompressionLoss::kNone);
  const Config bytes = load("enwik8-compressive.yaml");
  EXPECT_EQ(options_of(bytes).compression.loss, models::CompressionLoss::kAttention);
  EXPECT_EQ(std::tuple(bytes.train.accumulate.batches, bytes.train.accumulate.after), std::tuple(4, 12000));
}

TEST(Configs, QuickStartReadsTheTextThatShipsWithTheProject) {
  for (const auto& entry : load("quickstart.yaml").data.train) EXPECT_TRUE(fs::exists(entry.path)) << entry.path;
}

}  // namespace
}  // namespace longhaul
