// What a resume accepts, refuses and notices; and that every stateful part has its case.
#include <fmt/format.h>

#include <set>

#include "tests/train/trainer/tiny_run.h"
#include "train/trainer/prepare.h"
#include "train/trainer/trainer.h"

namespace longhaul::train {
namespace {

// Each registered part with the cut that would show its absence; the runs of R1 carry all but "ema".
const std::set<std::string> kPartsWithACase = {"model", "optimizer", "ema", "data", "counters", "clock"};

TEST(StatefulParts, EachHasAResumeCase) {
  TinyRun run;
  const config::Config config = run.config({"train.ema.decay=0.9"});
  TrainingOptions options;
  options.run = run.folder / "none";
  const Prepared prepared = prepare(config, options, RunFolder(options.run));
  const Trainer trainer(prepared, options);
  std::set<std::string> registered;
  for (const auto& [name, part] : trainer.parts().parts()) registered.insert(name);
  EXPECT_EQ(registered, kPartsWithACase) << "give a new part a test that cuts a run which needs it";
}

TEST(StatefulParts, TheMovingAverageSurvivesACut) {
  TinyRun run("steps: 24");
  run.overrides = {"train.ema.decay=0.9"};
  run.session("whole");
  EXPECT_TRUE(run.record.evaluations.at(0).averaged);
  run.session_stopped_after("cut", 13);
  run.session("cut");
  run.expect_same("whole", "cut", 24);
  EXPECT_GT(content(run.checkpoint("cut", 24) / "state.safetensors").size(), 1000u);
}

TEST(StatefulParts, EveryOptimizerSurvivesACut) {
  for (const char* kind : {"adam", "adafactor", "sgd"}) {
    TinyRun run("steps: 14");
    run.overrides = {fmt::format("train.optimizer.kind={}", kind)};
    run.session("whole");
    run.session_stopped_after("cut", 7);
    run.session("cut");
    run.expect_same("whole", "cut", 14);
  }
}

TEST(StatefulParts, StagesSurviveACut) {
  TinyRun run(
      "stages: [{steps: 5, model: {window: 4}}, {steps: 6, learning_rate: 1e-3, sequence_length: 8, batch_size: 3, "
      "model: {window: 8}}, {steps: 5}]",
      "family: local, window: 16");
  EXPECT_EQ(run.session("whole").steps, 16);
  std::vector<int> stages;
  for (const StepMetrics& step : run.record.steps) stages.push_back(step.stage);
  EXPECT_EQ(stages, (std::vector<int>{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2}));
  for (const int64_t cut : {4, 5, 6, 10, 11, 12}) {
    const std::string name = fmt::format("cut{}", cut);
    run.session_stopped_after(name, cut);
    run.session(name);
    run.expect_same("whole", name, 16);
  }
}

TEST(StatefulParts, CountersOfTheGuardSurviveACut) {
  TinyRun run("steps: 12");
  run.probe = [](int64_t step, const std::vector<optim::Parameter>& trained) {
    if (step == 4 || step == 5 || step == 6) trained[1].variable.gradient().data<float>()[0] = NAN;
  };
  const RunSummary whole = run.session("whole");
  EXPECT_EQ(run.record.steps.back().skipped_steps, 3);
  run.session_stopped_after("cut", 5);
  EXPECT_EQ(run.session("cut").steps, whole.steps);
  EXPECT_EQ(run.record.steps.back().skipped_steps, 3);
  run.expect_same("whole", "cut", 12);
}

TEST(ChangedKeys, FixedOnesAreRefusedWithBothValues) {
  TinyRun run("steps: 20");
  run.session_stopped_after("run", 5);
  for (const char* change :
       {"run.seed=8", "run.precision=bf16", "model.dim=32", "model.dropout=0.2", "data.sequence_length=8",
        "train.batch_size=8", "memory.reversible=true", "train.optimizer.kind=sgd", "data.tokenizer={kind: char}"}) {
    const std::string before = run.journal("run");
    EXPECT_EQ(run.exit_code("run", {change}), 2) << change;
    EXPECT_NE(run.message.find("was "), std::string::npos) << run.message;
    EXPECT_EQ(run.journal("run"), before);
  }
}

TEST(ChangedKeys, SomeMayChangeFromHereOnAndAreRecorded) {
  TinyRun run("steps: 20");
  run.session_stopped_after("run", 5);
  EXPECT_EQ(run.exit_code("run", {"train.steps=10", "train.optimizer.learning_rate=1e-3", "train.log_every=1"}), 0);
  EXPECT_EQ(run.record.steps.back().step, 10);
  const std::string info = content(run.folder / "run/run.json");
  for (const char* key : {"train.steps", "train.optimizer.learning_rate", "train.log_every"}) {
    EXPECT_NE(info.find(fmt::format("\"key\": \"{}\"", key)), std::string::npos) << info;
  }
  EXPECT_NE(content(run.folder / "run/config.yaml").find("steps: 10"), std::string::npos);
}

TEST(ChangedKeys, HarmlessOnesChangeNothing) {
  TinyRun run("steps: 20");
  run.session("whole");
  run.session_stopped_after("run", 5);
  EXPECT_EQ(run.exit_code("run", {"run.threads=1", "memory.recompute=layer", "memory.budget=1GiB"}), 0);
  EXPECT_EQ(content(run.folder / "run/run.json").find("memory.recompute"), std::string::npos);
  EXPECT_EQ(run.record.steps.back().step, 20);
}

TEST(ChangedData, StopsWithTheNameOfTheFile) {
  TinyRun run("steps: 20");
  run.session_stopped_after("run", 5);
  const std::string text = content(run.folder / "train.txt");
  put(run.folder / "train.txt", text + "more");
  EXPECT_EQ(run.exit_code("run"), 3);
  EXPECT_NE(run.message.find("train.txt"), std::string::npos) << run.message;
  std::string other = text;
  other[700] = other[700] == 'a' ? 'b' : 'a';
  put(run.folder / "train.txt", other);
  EXPECT_EQ(run.exit_code("run"), 3);
  fs::remove(run.folder / "train.txt");
  EXPECT_EQ(run.exit_code("run"), 3);
  put(run.folder / "train.txt", text);
  EXPECT_EQ(run.exit_code("run"), 0);
}

TEST(ChangedTokenizer, Stops) {
  TinyRun run("steps: 20");
  put(run.folder / "letters.txt", "abcdefghijklmnopqrstuvwxyz ");
  run.overrides = {"data.tokenizer={kind: char, path: " + (run.folder / "letters.txt").string() + "}"};
  run.session_stopped_after("run", 5);
  put(run.folder / "letters.txt", "abcdefghijklmnopqrstuvwxyz !");
  EXPECT_EQ(run.exit_code("run"), 3);
  EXPECT_NE(run.message.find("tokenizer"), std::string::npos) << run.message;
}

TEST(DamagedCheckpoint, TheNewestSoundOneIsUsed) {
  TinyRun run("steps: 20");
  run.session("whole");
  run.session_stopped_after("run", 13);
  std::string bytes = content(run.checkpoint("run", 13) / "model.safetensors");
  bytes[bytes.size() / 2] ^= 4;
  put(run.checkpoint("run", 13) / "model.safetensors", bytes);
  run.strict = true;
  EXPECT_EQ(run.exit_code("run"), 4);
  run.strict = false;
  EXPECT_EQ(run.exit_code("run"), 0);
  EXPECT_EQ(run.record.start.step, 10);
  run.expect_same("whole", "run", 20);
}

TEST(FinishedRun, TheSameCommandSaysSo) {
  TinyRun run("steps: 10");
  const RunSummary first = run.session("run");
  const auto saved = fs::last_write_time(run.checkpoint("run", 10) / "manifest.json");
  const RunSummary second = run.session("run");
  EXPECT_EQ(second.exit_code, 0);
  EXPECT_EQ(second.status, "finished");
  EXPECT_EQ(second.steps, 10);
  EXPECT_EQ(second.valid_loss, first.valid_loss);
  EXPECT_EQ(fs::last_write_time(run.checkpoint("run", 10) / "manifest.json"), saved);
  // More steps make it unfinished again.
  EXPECT_EQ(run.session("run", {"train.steps=12"}).steps, 12);
  run.fresh = true;
  EXPECT_EQ(run.exit_code("run"), 2);
}

}  // namespace
}  // namespace longhaul::train
