#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>

#include "framework/base/io.h"
#include "tests/support/paths.h"
#include "tests/train/temporary_folder.h"

namespace longhaul {
namespace {

using testing::HasSubstr;

struct Outcome {
  int code = -1;
  std::string out;
};

// Runs the program in a folder; standard error goes to err.txt there.
Outcome run(const std::filesystem::path& folder, const std::string& arguments) {
  const std::string command =
      "cd '" + folder.string() + "' && LONGHAUL_CACHE=cache " + program_path() + " " + arguments + " 2>err.txt";
  Outcome outcome;
  std::FILE* pipe = popen(command.c_str(), "r");
  char buffer[4096];
  for (size_t count; (count = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) outcome.out.append(buffer, count);
  outcome.code = WEXITSTATUS(pclose(pipe));
  return outcome;
}

// One small trained run for all tests.
class ModelCommands : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    std::string text;
    for (int i = 0; i < 60; ++i) text += "the cat sat on the mat and the dog sat on the log\n";
    io::write_new_file(folder_->path() / "text.txt", text);
    io::write_new_file(folder_->path() / "run.yaml",
                       "run: {threads: 1}\n"
                       "data: {train: [text.txt], valid: [text.txt], sequence_length: 32}\n"
                       "model: {family: transformer, dim: 32, layers: 2, heads: 2}\n"
                       "train: {steps: 300, batch_size: 4, optimizer: {learning_rate: 5e-3}, eval_every: 0}\n");
    trained_ = run(folder_->path(), "train run.yaml --run trained --json");
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  void SetUp() override { ASSERT_EQ(trained_.code, 0) << io::read_file(folder_->path() / "err.txt"); }
  static Outcome call(const std::string& arguments) { return run(folder_->path(), arguments); }
  static std::string error() { return io::read_file(folder_->path() / "err.txt"); }

  static TemporaryFolder* folder_;
  static Outcome trained_;
};
TemporaryFolder* ModelCommands::folder_ = nullptr;
Outcome ModelCommands::trained_;

TEST_F(ModelCommands, ADryRunPlansAndReadsOneBatchAndCreatesNothing) {
  const Outcome dry = call("train run.yaml --run dry --dry-run --json");
  ASSERT_EQ(dry.code, 0) << error();
  const auto report = nlohmann::json::parse(dry.out);
  EXPECT_EQ(report["batch"]["targets"], 4 * 32);
  EXPECT_GT(report["peak_bytes"], 0);
  EXPECT_FALSE(std::filesystem::exists(folder_->path() / "dry"));
  EXPECT_EQ(call("train run.yaml --run dry --dry-run --set data.train=[absent.txt]").code, 3);
}

TEST_F(ModelCommands, AProfileShowsTheKernelsAndWritesATrace) {
  const Outcome profiled = call("train run.yaml --run profiled --profile 3 --json");
  ASSERT_EQ(profiled.code, 0) << error();
  EXPECT_EQ(nlohmann::json::parse(profiled.out)["steps"], 3);
  EXPECT_THAT(error(), HasSubstr("attention.backward"));
  const auto trace = nlohmann::json::parse(io::read_file(folder_->path() / "profiled" / "profile.json"));
  int products = 0;
  for (const auto& event : trace["traceEvents"]) {
    EXPECT_EQ(event["ph"], "X");
    EXPECT_GE(event["dur"], 0);
    products += event["name"] == "matmul.gemm" ? 1 : 0;
  }
  EXPECT_GT(products, 3 * 2 * 12);  // each layer of each step has at least four products and their gradients
}

TEST_F(ModelCommands, EvalScoresEveryTokenWithAnyProtocol) {
  const auto block = nlohmann::json::parse(call("eval trained --data text.txt --json").out);
  const auto sliding = nlohmann::json::parse(call("eval trained --data text.txt --protocol sliding --json").out);
  EXPECT_EQ(block["tokens"], 60 * 50 - 1);
  EXPECT_EQ(sliding["tokens"], block["tokens"]);
  EXPECT_LT(block["bits_per_byte"], 2.0);  // the text repeats: a model that learned nothing needs 8
}

TEST_F(ModelCommands, EvalWritesATokenALineAndAPlot) {
  ASSERT_EQ(call("eval trained --data text.txt --per-token losses.tsv --plot losses.svg").code, 0) << error();
  const std::string lines = io::read_file(folder_->path() / "losses.tsv");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 60 * 50);
  EXPECT_THAT(io::read_file(folder_->path() / "losses.svg"), testing::StartsWith("<svg"));
}

TEST_F(ModelCommands, EvalRefusesWhatItCannotDo) {
  EXPECT_EQ(call("eval trained --data text.txt --protocol memory").code, 2);
  EXPECT_THAT(error(), HasSubstr("error: [eval] protocol memory carries state"));
  EXPECT_EQ(call("eval trained --data missing.txt").code, 3);
  EXPECT_EQ(call("eval nowhere --data text.txt").code, 4);
  EXPECT_EQ(call("eval trained --data text.txt --context 64").code, 2);  // learned positions end at 32
}

TEST_F(ModelCommands, GenerateStreamsTheTextOfItsSeed) {
  const std::string flags = "generate trained --prompt 'the cat' --max-new 24 --seed 5";
  const Outcome streamed = call(flags);
  EXPECT_EQ(streamed.code, 0) << error();
  EXPECT_EQ(call(flags).out, streamed.out);
  const auto json = nlohmann::json::parse(call(flags + " --json").out);
  EXPECT_EQ(streamed.out, "the cat" + json["text"].get<std::string>() + "\n");
  EXPECT_EQ(json["tokens"].size(), 24u);
  // Greedy text of a model that knows its one line by heart, past the end of its position table.
  const Outcome greedy = call("generate trained --prompt 'the cat' --max-new 60 --temperature 0");
  EXPECT_THAT(greedy.out, HasSubstr(" sat on the "));
}

TEST_F(ModelCommands, ASearchWithBeamsRefusesWhatBelongsToDrawing) {
  EXPECT_EQ(call("generate trained --prompt 'the cat' --max-new 8 --beams 3").code, 0) << error();
  EXPECT_EQ(call("generate trained --prompt 'the cat' --max-new 8 --beams 3 --top-k 5").code, 2);
  EXPECT_THAT(error(), HasSubstr("error: [generate] --beams 3 searches for the most likely text"));
}

TEST_F(ModelCommands, TheBestCheckpointIsMarkedAndOutlivesPruning) {
  // The learning rate that follows spoils the model: the first evaluation stays the best.
  const Outcome outcome = call(
      "train run.yaml --run best --json --set train.eval_every=10 --set train.steps=40 --set train.checkpoint.every=10 "
      "--set train.checkpoint.keep=9 --set 'train.stages=[{steps: 10}, {steps: 30, learning_rate: 3}]' "
      "--set train.schedule.kind=constant");
  ASSERT_EQ(outcome.code, 0) << error();
  const auto best_steps = [&] {
    std::vector<int64_t> found;
    const auto listed = nlohmann::json::parse(call("checkpoint list best --json").out);
    for (const auto& row : listed["checkpoints"]) {
      if (row["best"] == true) found.push_back(row["step"]);
    }
    return found;
  };
  EXPECT_EQ(best_steps(), std::vector<int64_t>{10});
  EXPECT_EQ(call("checkpoint prune best --keep 1").code, 0) << error();
  EXPECT_EQ(best_steps(), std::vector<int64_t>{10});
  EXPECT_EQ(call("checkpoint verify best").code, 0);
}

TEST_F(ModelCommands, TheLastStepHasOneLineWithBothEvaluationsAndItsCheckpointKnowsThem) {
  ASSERT_EQ(call("train run.yaml --run last --json --set train.steps=20 --set train.checkpoint.every=10 "
                 "--set data.test=[text.txt]")
                .code,
            0)
      << error();
  std::istringstream lines(io::read_file(folder_->path() / "last" / "metrics.jsonl"));
  std::vector<nlohmann::json> found;
  for (std::string line; std::getline(lines, line);) found.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1]["step"], 20);
  EXPECT_TRUE(found[1].contains("loss") && found[1].contains("valid_loss") && found[1].contains("test_loss"));
  EXPECT_EQ(found[1]["test_loss"], found[1]["valid_loss"]);
  const auto listed = nlohmann::json::parse(call("checkpoint list last --json").out);
  EXPECT_EQ(listed["checkpoints"].back()["best"], true);
}

TEST_F(ModelCommands, ARunTellsItsPlanAndWhatItMeasured) {
  ASSERT_EQ(call("train run.yaml --run small --set train.steps=3 --set memory.budget=1MiB").code, 0) << error();
  const std::string told = error();
  EXPECT_THAT(told, HasSubstr("[memory] planned: "));
  EXPECT_THAT(told, HasSubstr("is over the budget of 1.00MiB"));
  EXPECT_THAT(told, HasSubstr("[memory] measured: "));
}

TEST_F(ModelCommands, APrecisionWithoutKernelsIsRefusedBeforeAnythingIsMade) {
  EXPECT_EQ(call("train run.yaml --run half --set run.precision=f16").code, 2);
  EXPECT_THAT(error(), HasSubstr("error: [device] cpu lacks kernels this run needs, nothing was created:"));
  EXPECT_FALSE(std::filesystem::exists(folder_->path() / "half"));
}

TEST_F(ModelCommands, APatternOfAFamilyTakesItsKeys) {
  const auto pattern = nlohmann::json::parse(call("pattern local --length 100 --set model.window=1 --json").out);
  EXPECT_EQ(pattern["pairs"], 100);
  EXPECT_EQ(call("pattern local --length 100 --set model.windw=1").code, 2);
  EXPECT_THAT(error(), HasSubstr("did you mean \"window\"?"));
  EXPECT_EQ(call("pattern local --length 3 --set model.window=1").out,
            "3 queries x 3 keys; 3 pairs visible (33.33 %); 1 tile of 64 x 64 visited, 0 of them full\n#\n #\n  #\n"
            "cost of a layer: time O(N w D), memory O(N D)\n");
}

TEST_F(ModelCommands, APatternOfATrainedModelMeasuresWhatItsBucketsCover) {
  io::write_new_file(folder_->path() / "hashed.yaml",
                     "extends: run.yaml\n"
                     "data: {sequence_length: 256}\n"
                     "model: {family: reformer, lsh_chunk: 16, attention_layers: [lsh]}\n"
                     "train: {steps: 1}\n");
  ASSERT_EQ(call("train hashed.yaml --run hashed").code, 0) << error();
  const auto at = [](int length) {
    return nlohmann::json::parse(call(fmt::format("pattern hashed --length {} --text text.txt --json", length)).out)["measured"];
  };
  EXPECT_EQ(at(32)["lsh_coverage"], 1.0);  // two chunks, each sees both
  EXPECT_GT(at(256)["lsh_coverage"], 0.0);
  EXPECT_LT(at(256)["lsh_coverage"], 1.0);
  EXPECT_GE(at(256)["lsh_balance"], 1.0);
  EXPECT_THAT(call("pattern hashed --length 64 --text text.txt").out, HasSubstr("\nmeasured lsh_coverage: "));
  EXPECT_EQ(call("pattern hashed --length 64 --text text.txt --out hashed.svg").code, 0) << error();

  EXPECT_EQ(call("pattern hashed --length 5000 --text text.txt").code, 3);
  EXPECT_THAT(error(), HasSubstr("text.txt has 3000 tokens, --length asks for 5000"));
  EXPECT_EQ(call("pattern trained --length 32 --text text.txt").code, 2);
  EXPECT_THAT(error(), HasSubstr("transformer chooses nothing by content"));
  EXPECT_EQ(call("pattern hashed.yaml --length 64 --text text.txt").code, 2);
  EXPECT_THAT(error(), HasSubstr("--text measures a trained model, received hashed.yaml"));
  EXPECT_EQ(call("pattern trained --length 3").out.substr(0, 20), "3 queries x 3 keys; ");
}

TEST_F(ModelCommands, PlanPatternParityAndBenchAnswerInJson) {
  const auto plan = nlohmann::json::parse(call("plan run.yaml --set memory.budget=64MiB --json").out);
  EXPECT_GT(plan["longest_sequence"], 32);
  const auto pattern = nlohmann::json::parse(call("pattern run.yaml --length 100 --json").out);
  EXPECT_EQ(pattern["pairs"], 100 * 101 / 2);
  EXPECT_EQ(call("pattern local --length 100 --out local.svg").code, 0) << error();
  EXPECT_EQ(call("parity .").code, 2);  // no case there
  const auto step = nlohmann::json::parse(call("bench step run.yaml --steps 1 --json").out);
  EXPECT_EQ(step["parameters"], plan["parameters"]);
  EXPECT_NEAR(step["tensor_peak_bytes"].get<double>(), plan["tensor_peak_bytes"].get<double>(),
              0.02 * step["tensor_peak_bytes"].get<double>());
  EXPECT_NEAR(step["peak_rss_bytes"].get<double>(), plan["peak_bytes"].get<double>(), 64.0 * (1 << 20));
  const auto decode = nlohmann::json::parse(call("bench generate trained --context 8 --new 8 --json").out);
  EXPECT_GT(decode["tokens_per_second"], 0);
}

TEST_F(ModelCommands, CheckFindsThisBuildSound) {
  const Outcome outcome = call("check --json");
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["passed"], true);
}

}  // namespace
}  // namespace longhaul
