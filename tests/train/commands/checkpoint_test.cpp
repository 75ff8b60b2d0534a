#include "train/commands/checkpoint.h"

#include <nlohmann/json.hpp>

#include "framework/checkpoint/run_lock.h"
#include "tests/support/folder_test.h"
#include "tests/support/tiny_run.h"

namespace longhaul::cli {
namespace {

using checkpoint::message_of;
using checkpoint::TinyRun;
using Action = CheckpointOptions::Action;
using Json = nlohmann::json;

class CheckpointCommandTest : public checkpoint::FolderTest {
 protected:
  void SetUp() override {
    FolderTest::SetUp();
    for (const int64_t step : {10, 20, 30}) TinyRun::save(at("run/checkpoints"), step, {.keep = 9, .pinned = {}});
    run_ = at("run").string();
  }
  std::string step(int64_t number) const { return run_ + "/checkpoints/" + checkpoint::folder_name(number); }
  /// Saves `number` again, as a run whose best evaluation was at `best`.
  void count_best(int64_t number, int64_t best) {
    TinyRun run;
    run.set_step(number);
    checkpoint::CheckpointContent content = run.content();
    std::string& scalars = content.state.scalars;
    const std::string parts = "\"parts\": {";
    scalars.insert(scalars.find(parts) + parts.size(), "\"counters\": {\"best_step\": " + std::to_string(best) + "}, ");
    io::remove_all(step(number));
    checkpoint::save_checkpoint(at("run/checkpoints"), content, {.keep = 9, .pinned = {}});
  }
  void damage(int64_t number) {
    std::string bytes = io::read_file(step(number) + "/model.safetensors");
    bytes.back() = static_cast<char>(bytes.back() ^ 1);
    io::replace_file(step(number) + "/model.safetensors", bytes);
  }

  /// Runs a command; what it prints stands in out_, with the folder of the test cut from paths.
  int run(CheckpointOptions options) {
    std::FILE* out = std::tmpfile();
    int code = -1;
    {
      Console console({.verbosity = Verbosity::kQuiet}, out, stderr);
      code = run_checkpoint(options, console);
    }
    std::rewind(out);
    out_.assign(65536, '\0');
    out_.resize(std::fread(out_.data(), 1, out_.size(), out));
    std::fclose(out);
    for (size_t found; (found = out_.find(folder_.string() + "/")) != std::string::npos;)
      out_.erase(found, folder_.string().size() + 1);
    return code;
  }

  std::string run_;
  std::string out_;
};

TEST_F(CheckpointCommandTest, ListShowsWhatIsThere) {
  count_best(30, 20);
  io::unlink(step(30) + "/manifest.json");
  EXPECT_EQ(run({.action = Action::kList, .run = run_, .other = {}}), 0);
  EXPECT_EQ(out_,
            "checkpoint            size  tensors       samples  state\n"
            "step-00000010      11.9KiB        5            80  -\n"
            "step-00000020      11.9KiB        5           160  best\n"
            "step-00000030            -        -             -  [manifest] "
            "run/checkpoints/step-00000030/manifest.json: the file is missing\n");
  EXPECT_EQ(run({.action = Action::kList, .run = run_, .other = {}, .json = true}), 0);
  const Json json = Json::parse(out_);
  EXPECT_EQ(json["checkpoints"].size(), 3u);
  EXPECT_EQ(json["checkpoints"][1]["step"], 20);
  EXPECT_EQ(json["checkpoints"][1]["best"], true);
  EXPECT_EQ(json["checkpoints"][2]["manifest"], "damaged");
}

TEST_F(CheckpointCommandTest, VerifyChecksAllOrOne) {
  EXPECT_EQ(run({.action = Action::kVerify, .run = run_, .other = {}}), 0);
  EXPECT_EQ(out_,
            "run/checkpoints/step-00000010: sound (6 files, 5 tensors, 11.9KiB)\n"
            "run/checkpoints/step-00000020: sound (6 files, 5 tensors, 11.9KiB)\n"
            "run/checkpoints/step-00000030: sound (6 files, 5 tensors, 11.9KiB)\n");
  damage(20);
  EXPECT_EQ(run({.action = Action::kVerify, .run = run_, .other = {}, .json = true}), 4);
  const Json json = Json::parse(out_);
  EXPECT_EQ(json["sound"], false);
  EXPECT_EQ(json["checkpoints"][1]["damage"][0]["tensor"], "layers.0.bias");
  EXPECT_EQ(run({.action = Action::kVerify, .run = step(20), .other = {}}), 4);
  EXPECT_EQ(
      out_,
      "run/checkpoints/step-00000020: DAMAGED\n  [checkpoint] run/checkpoints/step-00000020/model.safetensors: tensor "
      "\"layers.0.bias\" does not match its hash (bytes 3360..3423)\n");
  EXPECT_EQ(run({.action = Action::kVerify, .run = step(30), .other = {}}), 0);
}

TEST_F(CheckpointCommandTest, DiffNamesWhatDiffers) {
  EXPECT_EQ(run({.action = Action::kDiff, .run = step(30), .other = step(30)}), 0);
  EXPECT_EQ(out_, "run/checkpoints/step-00000030 and run/checkpoints/step-00000030 are equal\n");
  EXPECT_EQ(run({.action = Action::kDiff, .run = run_, .other = {}, .json = true}), 1);
  Json json = Json::parse(out_);
  EXPECT_EQ(json["first"], "run/checkpoints/step-00000020");
  EXPECT_EQ(json["differences"].size(), 5u + 4u + 4u);  // tensors, steps, rates

  // One element, one counter and the configuration.
  TinyRun other;
  other.set_step(30);
  checkpoint::CheckpointContent content = other.content();
  const Tensor bias = Tensor::of(Shape({16}), std::vector<float>(16, 0.25F));
  content.state.tensors[checkpoint::Section::kModel][1].tensor = bias;
  checkpoint::save_checkpoint(at("a"), content, {});
  bias.data<float>()[5] = -0.5F;
  content.files["config.yaml"] = "run: {}\n";
  content.files["extra"] = "";
  content.state.scalars.replace(content.state.scalars.find("\"step\": 30"), 10, "\"step\": 31");
  checkpoint::save_checkpoint(at("b"), content, {});
  EXPECT_EQ(run({.action = Action::kDiff, .run = at("a").string(), .other = at("b").string()}), 1);
  EXPECT_EQ(out_,
            "a/step-00000030 and b/step-00000030 differ in 4 places\n"
            "  config.yaml: the content differs\n"
            "  extra: only in the second\n"
            "  model.safetensors layers.0.bias: 1 of 16 elements differ, first at [5]: 0.25 against -0.5, largest "
            "distance 0.75\n"
            "  state.json average.step: 30 against 31\n");
}

TEST_F(CheckpointCommandTest, DiffOfADamagedFolderIsAnError) {
  damage(20);
  EXPECT_EQ(message_of([&] { run({.action = Action::kDiff, .run = step(20), .other = step(30)}); }),
            "[checkpoint] " + step(20) +
                "/model.safetensors: tensor \"layers.0.bias\" does not match its hash (bytes 3360..3423)");
}

TEST_F(CheckpointCommandTest, PruneKeepsTheNewestSoundAndTheBest) {
  count_best(40, 10);
  damage(40);
  EXPECT_EQ(run({.action = Action::kPrune, .run = run_, .other = {}, .keep = 1, .dry_run = true}), 0);
  EXPECT_EQ(out_, "would remove step-00000020\n3 checkpoints would stay\n");
  EXPECT_EQ(checkpoint::steps_of(at("run/checkpoints")).size(), 4u);
  EXPECT_EQ(run({.action = Action::kPrune, .run = run_, .other = {}, .keep = 1}), 0);
  EXPECT_EQ(out_, "removed step-00000020\n3 checkpoints stay\n");
  EXPECT_EQ(checkpoint::steps_of(at("run/checkpoints")), (std::vector<int64_t>{10, 30, 40}));
  EXPECT_EQ(run({.action = Action::kPrune, .run = run_, .other = {}, .keep = 1, .json = true}), 0);
  EXPECT_EQ(Json::parse(out_)["removed"].size(), 0u);
}

TEST_F(CheckpointCommandTest, PruneLeavesARunInProgressAlone) {
  const checkpoint::RunLock lock(run_);
  EXPECT_EQ(message_of([&] {
              run({.action = Action::kPrune, .run = run_, .other = {}});
            }).find("[run] " + run_ + " is in use by process "),
            0u);
}

TEST_F(CheckpointCommandTest, WhatIsNoRunFolderIsNamed) {
  io::make_folder(at("empty"));
  EXPECT_EQ(message_of([&] { run({.action = Action::kList, .run = at("empty").string(), .other = {}}); }),
            "[checkpoint] " + at("empty").string() + " is not a run folder: it holds no folder \"checkpoints\"");
  EXPECT_EQ(message_of([&] { run({.action = Action::kList, .run = at("no").string(), .other = {}}); }),
            "[checkpoint] " + at("no").string() + " is not a run folder: it does not exist");
  io::make_folders(at("empty/checkpoints"));
  EXPECT_EQ(run({.action = Action::kList, .run = at("empty").string(), .other = {}}), 0);
  EXPECT_EQ(out_, "empty holds no checkpoint yet\n");
  EXPECT_EQ(message_of([&] { run({.action = Action::kVerify, .run = at("empty").string(), .other = {}}); }),
            "[checkpoint] " + at("empty/checkpoints").string() + " holds no checkpoint");
  EXPECT_EQ(message_of([&] { run({.action = Action::kDiff, .run = at("empty").string(), .other = {}}); }),
            "[checkpoint] " + at("empty/checkpoints").string() +
                " holds 0 checkpoints, two are needed to compare\n  hint: name the second one");
}

}  // namespace
}  // namespace longhaul::cli
