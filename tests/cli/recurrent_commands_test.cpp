// A Transformer-XL through the program: training, evaluation with its memory, generation from a saved state, exchange.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "framework/base/io.h"
#include "tests/support/paths.h"
#include "tests/train/temporary_folder.h"

namespace longhaul {
namespace {

using testing::HasSubstr;

class RecurrentCommands : public testing::Test {
 protected:
  void SetUp() override {
    std::string text;
    for (int i = 0; i < 60; ++i) text += "the cat sat on the mat and the dog sat on the log\n";
    io::write_new_file(folder_.path() / "text.txt", text);
    io::write_new_file(folder_.path() / "run.yaml",
                       "run: {threads: 1}\n"
                       "data: {train: [text.txt], valid: [text.txt], sequence_length: 16}\n"
                       "model: {family: transformer_xl, dim: 32, layers: 2, heads: 2, memory: {length: 32},\n"
                       "        adaptive: {cutoffs: [64], div_val: 2}, final_norm: no}\n"
                       "train: {steps: 400, batch_size: 4, optimizer: {learning_rate: 2e-3}, eval_every: 0}\n");
  }
  std::string call(const std::string& arguments, int expected = 0) const {
    const std::string command = "cd '" + folder_.path().string() + "' && LONGHAUL_CACHE=cache " + program_path() + " " + arguments + " 2>err.txt";
    std::FILE* pipe = popen(command.c_str(), "r");
    std::string out;
    char buffer[4096];
    for (size_t count; (count = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) out.append(buffer, count);
    EXPECT_EQ(WEXITSTATUS(pclose(pipe)), expected) << arguments << "\n" << error();
    return out;
  }
  nlohmann::json json(const std::string& arguments) const { return nlohmann::json::parse(call(arguments + " --json")); }
  std::string error() const { return io::read_file(folder_.path() / "err.txt"); }

  const TemporaryFolder folder_;
};

TEST_F(RecurrentCommands, ClustersAreJudgedByTheVocabularyOfTheTokenizer) {
  std::string words;
  for (int i = 0; i < 600; ++i) words += "word" + std::to_string(i) + (i % 20 == 19 ? "\n" : " ");
  io::write_new_file(folder_.path() / "words.txt", words);
  const std::string train =
      "train run.yaml --set data.tokenizer.kind=word --set data.train=[words.txt] --set data.valid=[words.txt]"
      " --set train.steps=1 --set model.adaptive.cutoffs=";
  call(train + "[300] --run trained");
  call(train + "[700] --run refused", 2);
  EXPECT_THAT(error(), HasSubstr("holds 700, but the vocabulary has 602 ids"));
  EXPECT_FALSE(io::exists(folder_.path() / "refused"));
}

TEST_F(RecurrentCommands, TrainEvaluateGenerateAndExchange) {
  const auto trained = json("train run.yaml --run trained");
  EXPECT_LT(trained["valid_loss"].get<double>(), 1.5);

  const auto carried = json("eval trained --data text.txt");
  EXPECT_EQ(carried["protocol"], "memory");
  EXPECT_EQ(carried["memory"], 32);
  EXPECT_EQ(carried["tokens"], 60 * 50 - 1);
  EXPECT_EQ(json("eval trained --data text.txt --memory 5")["memory"], 5);
  const auto block = json("eval trained --data text.txt --protocol block --context 4");
  EXPECT_GT(block["loss"].get<double>(), carried["loss"].get<double>()) << "four tokens say less than the memory";
  call("eval trained --data text.txt --protocol block --memory 5", 2);

  const auto recl = json("eval trained --data text.txt --recl --recl-step 8 --context 32 --recl-against trained");
  ASSERT_EQ(recl["models"].size(), 2u);
  EXPECT_EQ(recl["models"][0]["effective_context"], recl["models"][1]["effective_context"]);
  EXPECT_EQ(recl["models"][0]["losses"].size(), 4u);
  call("eval trained --data text.txt --recl --context 64 --memory 5", 2);
  call("eval trained --data text.txt --recl --context 150", 2);
  EXPECT_THAT(error(), HasSubstr("needs two of these steps"));
  call("eval trained --data text.txt --recl-step 5", 2);

  const std::string flags = " --temperature 0 --prompt 'the cat sat'";
  const std::string whole = json("generate trained --max-new 40" + flags)["text"];
  const std::string first = json("generate trained --max-new 15 --state story" + flags)["text"];
  const std::string second = json("generate trained --max-new 25 --state story --temperature 0")["text"];
  EXPECT_EQ(first + second, whole);
  call("generate trained --state story --beams 2", 2);
  call("train run.yaml --run other --set train.steps=1");
  call("generate other --state story", 4);
  EXPECT_THAT(error(), HasSubstr("belongs to a model"));

  const auto plan = json("plan run.yaml");
  EXPECT_GE(plan["bytes"]["state"].get<int64_t>(), 2 * 4 * 32 * 32 * 4) << "two layers, four rows, 32 tokens of width 32";
  EXPECT_THAT(call("pattern run.yaml --length 64"), HasSubstr("\n"));

  call("export trained public");
  call("import public back");
  call("export back again");
  for (const char* file : {"model.safetensors", "config.json"})
    EXPECT_EQ(io::read_file(folder_.path() / "public" / file), io::read_file(folder_.path() / "again" / file)) << file;
}

TEST_F(RecurrentCommands, BothMemoriesOfACompressiveModel) {
  const std::string compressive =
      "train run.yaml --set model.family=compressive --set model.memory.length=16 --set model.memory.rate=4 --set model.memory.compressed=8"
      " --set model.compression.function=";
  const auto trained = json(compressive + "conv --run trained");
  EXPECT_LT(trained["valid_loss"].get<double>(), 1.5);
  EXPECT_THAT(io::read_file(folder_.path() / "trained" / "metrics.jsonl"), HasSubstr("\"compression_loss.1\":"));

  const auto carried = json("eval trained --data text.txt");
  EXPECT_EQ(carried["memory"], 16);
  EXPECT_EQ(carried["tokens"], 60 * 50 - 1);
  EXPECT_NE(json("eval trained --data text.txt --slots 2")["loss"], carried["loss"]);
  EXPECT_EQ(json("eval trained --data text.txt --memory 32 --slots 20")["memory"], 32);
  call("eval trained --data text.txt --memory 18", 2);
  EXPECT_THAT(error(), HasSubstr("no multiple of model.memory.rate = 4"));
  call("eval trained --data text.txt --context 18", 2);
  EXPECT_THAT(error(), HasSubstr("--context 20 is one"));
  call("eval trained --data text.txt --protocol block --slots 5", 2);

  for (const char* function : {"conv", "most_used"}) {
    const std::string run = function == std::string("conv") ? "trained" : "used";
    if (run == "used") call(compressive + "most_used --set train.steps=20 --run used");
    const std::string flags = " --temperature 0 --prompt 'the cat sat'";
    const std::string whole = json("generate " + run + " --max-new 90" + flags)["text"];
    const std::string first = json("generate " + run + " --max-new 55 --state story." + run + flags)["text"];
    const std::string second = json("generate " + run + " --max-new 35 --state story." + run + " --temperature 0")["text"];
    EXPECT_EQ(first + second, whole) << function;
  }
  call(compressive + "conv --set model.memory.rate=3 --run refused", 2);
  EXPECT_THAT(error(), HasSubstr("model.memory.rate = 3: does not divide data.sequence_length = 16"));
  EXPECT_FALSE(io::exists(folder_.path() / "refused"));
}

}  // namespace
}  // namespace longhaul
