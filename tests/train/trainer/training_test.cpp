#include "train/trainer/training.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <thread>

#include "framework/checkpoint/run_lock.h"
#include "framework/tensor/memory.h"
#include "tests/train/trainer/tiny_run.h"

namespace longhaul::train {
namespace {

TEST(Training, TheLossFalls) {
  TinyRun run("steps: 60");
  const RunSummary summary = run.session("run");
  EXPECT_LT(run.record.logs.back().loss, run.record.logs.front().loss - 0.5);
  EXPECT_EQ(summary.status, "finished");
  EXPECT_EQ(summary.train_loss, run.record.logs.back().loss);
  EXPECT_EQ(summary.valid_loss, run.record.evaluations.back().loss);
  EXPECT_NEAR(summary.valid_perplexity, std::exp(summary.valid_loss), 1e-9);
  EXPECT_NEAR(summary.bits_per_byte, summary.valid_loss / std::log(2.0), 1e-9);
  EXPECT_GT(summary.peak_memory_bytes, 0);
}

TEST(Training, MicroBatchesSplitTheWorkAndNotTheGradient) {
  // The last sample is filled up, so micro-batches hold different numbers of tokens.
  std::vector<std::vector<StepMetrics>> runs;
  for (const int micro : {1, 2, 3, 4}) {
    TinyRun run("steps: 21");
    run.overrides = {fmt::format("train.micro_batch={}", micro), "train.eval_every=0"};
    run.session("run");
    runs.push_back(run.record.steps);
  }
  for (size_t i = 1; i < runs.size(); ++i) {
    for (size_t step = 0; step < runs[0].size(); ++step) {
      EXPECT_NEAR(runs[i][step].loss, runs[0][step].loss, 1e-4) << "step " << step + 1;
      EXPECT_NEAR(runs[i][step].grad_norm, runs[0][step].grad_norm, 1e-3);
    }
  }
}

TEST(Training, NoStepAfterTheSecondAllocatesFromTheSystem) {
  for (const char* precision : {"f32", "bf16"}) {
    for (const char* optimizer : {"adamw", "adafactor", "sgd"}) {
      TinyRun run("steps: 12");
      run.overrides = {fmt::format("run.precision={}", precision), fmt::format("train.optimizer.kind={}", optimizer),
                       "train.eval_every=0", "train.ema.decay=0.9"};
      std::vector<int64_t> requests;
      run.stepped = [&](const StepMetrics&) {
        requests.push_back(device_memory(Device::cpu()).report().system_requests);
      };
      run.session("run");
      ASSERT_EQ(requests.size(), 12u);
      for (size_t step = 2; step < requests.size(); ++step)
        EXPECT_EQ(requests[step], requests[1]) << "step " << step + 1;
    }
  }
}

TEST(Training, EndsByTokensAndByTime) {
  TinyRun run("tokens: 200");
  EXPECT_EQ(run.session("run").steps, 4);  // 64 tokens a step
  TinyRun timed("time: 0.5s");
  timed.overrides = {"train.eval_every=0", "train.checkpoint.every=0", "train.log_every=1000"};
  const RunSummary summary = timed.session("run");
  EXPECT_EQ(summary.status, "finished");
  EXPECT_GE(summary.seconds, 0.5);
  EXPECT_GT(summary.steps, 0);
}

TEST(Training, FrozenParametersKeepTheirBits) {
  TinyRun run("steps: 4");
  run.overrides = {"train.freeze=[\"*embedding*\"]"};
  bool embedding = false;
  size_t trained_count = 0;
  run.probe = [&](int64_t, const std::vector<optim::Parameter>& trained) {
    trained_count = trained.size();
    for (const optim::Parameter& p : trained) embedding |= p.name.find("embedding") != std::string::npos;
  };
  run.session("run");
  EXPECT_FALSE(embedding);
  EXPECT_GT(trained_count, 4u);
  EXPECT_EQ(run.exit_code("other", {"train.freeze=[\"nothing*\"]"}), 2);
  EXPECT_FALSE(fs::exists(run.folder / "other"));
}

TEST(Training, StartsFromTheWeightsOfAnotherRun) {
  TinyRun run("steps: 20");
  run.session("first");
  const double trained = run.record.evaluations.back().loss;
  run.session("second", {"run.init_from=" + (run.folder / "first").string(), "train.steps=1",
                         "train.optimizer.learning_rate=1e-12"});
  EXPECT_NEAR(run.record.evaluations.back().loss, trained, 1e-5);
  EXPECT_EQ(run.record.start.step, 0);
  EXPECT_EQ(run.exit_code("third", {"run.init_from=" + (run.folder / "first").string(), "model.dim=32"}), 4);
  EXPECT_FALSE(fs::exists(run.folder / "third"));
  EXPECT_EQ(run.exit_code("third", {"run.init_from=" + (run.folder / "first").string(), "data.tokenizer={kind: char}"}),
            3);
}

TEST(Training, TheTestTextsAreEvaluatedOnceWhenTheRunEnds) {
  TinyRun run("steps: 20");
  run.overrides = {"data.test=[{path: " + (run.folder / "train.txt").string() + ", part: 10%..60%}]"};
  const RunSummary whole = run.session("whole");
  ASSERT_FALSE(run.record.evaluations.empty());
  EXPECT_EQ(run.record.evaluations.back().split, "test");
  EXPECT_EQ(run.record.evaluations.back().step, 20);
  EXPECT_EQ(std::ranges::count(run.record.evaluations, "test", &EvaluationMetrics::split), 1);
  EXPECT_EQ(whole.test_loss, run.record.evaluations.back().loss);
  EXPECT_GT(whole.test_loss, 1);
  EXPECT_LT(whole.test_loss, 6);
  EXPECT_EQ(run.session("whole").test_loss, whole.test_loss);  // finished: what run.json says

  // A stop between the last two evaluations: the next session makes both.
  run.evaluated = [](const EvaluationMetrics& event) {
    if (event.step == 20 && event.split == "valid") std::raise(SIGTERM);
  };
  EXPECT_EQ(run.session("cut").exit_code, 128 + SIGTERM);
  run.evaluated = nullptr;
  const RunSummary rest = run.session("cut");
  EXPECT_EQ(rest.exit_code, 0);
  EXPECT_EQ(rest.test_loss, whole.test_loss);
  EXPECT_EQ(run.record.evaluations.size(), 2u);
  run.expect_same("whole", "cut", 20);
}

TEST(Training, FrozenParametersGatherNoGradients) {
  TinyRun run("steps: 4");
  const auto gradients = [&](const std::string& name, const std::vector<std::string>& set) {
    int64_t bytes = 0;
    run.probe = [&](int64_t, const std::vector<optim::Parameter>&) {
      const MemoryReport report = device_memory(Device::cpu()).report();
      bytes = report.live[static_cast<size_t>(MemoryFamily::kGradients)];
    };
    run.session(name, set);
    return bytes;
  };
  EXPECT_EQ(gradients("all", {}) - gradients("frozen", {"train.freeze=[token_embedding.weight]"}), 256 * 16 * 4);
}

TEST(Training, EvaluationPinsTheBestCheckpoint) {
  TinyRun run("steps: 40");
  run.overrides = {"train.eval_every=5", "train.checkpoint.keep=1"};
  run.session("run");
  int64_t best = 0;
  double loss = INFINITY;
  for (const EvaluationMetrics& evaluation : run.record.evaluations) {
    EXPECT_EQ(evaluation.best, evaluation.loss < loss);
    if (evaluation.loss < loss) loss = evaluation.loss, best = evaluation.step;
  }
  EXPECT_TRUE(fs::exists(run.checkpoint("run", best)));
  EXPECT_TRUE(fs::exists(run.checkpoint("run", 40)));
}

TEST(Signals, AreHeededAtEveryMoment) {
  struct Moment {
    const char* name;
    std::function<void(TinyRun&)> arm;
  };
  const auto once = [](int64_t at) {
    return [at](const StepMetrics& m) {
      if (m.step == at) std::raise(SIGTERM);
    };
  };
  const std::vector<Moment> moments = {{"start", [](TinyRun& run) { run.started = [] { std::raise(SIGTERM); }; }},
                                       {"step", [&](TinyRun& run) { run.stepped = once(3); }},
                                       {"backward",
                                        [](TinyRun& run) {
                                          run.probe = [](int64_t step, const auto&) {
                                            if (step == 3) std::raise(SIGTERM);
                                          };
                                        }},
                                       {"before an evaluation", [&](TinyRun& run) { run.stepped = once(14); }},
                                       {"save", [](TinyRun& run) { run.flushed = [] { std::raise(SIGTERM); }; }},
                                       {"twice", [](TinyRun& run) {
                                          run.stepped = [](const StepMetrics& m) {
                                            if (m.step == 3)
                                              std::raise(SIGTERM), std::raise(SIGTERM), std::raise(SIGINT);
                                          };
                                        }}};
  TinyRun run("steps: 24");
  run.session("whole");
  for (const Moment& moment : moments) {
    moment.arm(run);
    EXPECT_EQ(run.exit_code(moment.name), 128 + SIGTERM) << moment.name;
    EXPECT_EQ(run.record.end.status, "stopped");
    run.started = run.flushed = nullptr;
    run.stepped = nullptr;
    run.probe = nullptr;
    EXPECT_EQ(run.exit_code(moment.name), 0) << moment.name;
    run.expect_same("whole", moment.name, 24);
  }
}

TEST(Signals, InterruptEndsWithItsOwnCode) {
  TinyRun run("steps: 24");
  run.stepped = [](const StepMetrics& m) {
    if (m.step == 2) std::raise(SIGINT);
  };
  EXPECT_EQ(run.exit_code("run"), 130);
  EXPECT_TRUE(fs::exists(run.checkpoint("run", 2)));
}

TEST(Signals, UserSignalSavesAndGoesOn) {
  TinyRun run("steps: 8");
  run.stepped = [](const StepMetrics& m) {
    if (m.step == 3) std::raise(SIGUSR1);
  };
  EXPECT_EQ(run.exit_code("run"), 0);
  EXPECT_EQ(run.record.saved, (std::vector<int64_t>{3, 8}));
}

TEST(Accumulation, OfTwoBatchesIsOneBatchOfBoth) {
  TinyRun run("steps: 9");
  // 80 samples are ten such batches, so that an epoch's end cuts neither.
  run.overrides = {"model.dropout=0", "train.eval_every=0"};
  EXPECT_EQ(run.session("one", {"train.batch_size=8"}).exit_code, 0);
  const int64_t tokens = run.record.steps.back().tokens;
  EXPECT_EQ(run.session("two", {"train.accumulate={batches: 2}"}).exit_code, 0);
  EXPECT_TRUE(TinyRun::tensor_bytes(run.checkpoint("one", 9) / "model.safetensors") ==
              TinyRun::tensor_bytes(run.checkpoint("two", 9) / "model.safetensors"));
  EXPECT_EQ(run.record.steps.back().tokens, tokens);
}

TEST(RunFolders, OneProcessAtATime) {
  TinyRun run("steps: 8");
  run.stepped = [&](const StepMetrics& m) {
    if (m.step != 3) return;
    TinyRun other("steps: 8");
    other.yaml = run.yaml;
    TrainingOptions options;
    options.run = run.folder / "run";
    options.observe = [](const io::Path&) { return std::make_unique<Observer>(); };
    EXPECT_THROW(checkpoint::RunLock{options.run}, FailureError);
  };
  EXPECT_EQ(run.exit_code("run"), 0);
}

TEST(RunFolders, CheckpointsWithoutTheirConfigurationAreKept) {
  TinyRun run("steps: 12");
  ASSERT_EQ(run.exit_code("run"), 0);
  fs::rename(run.folder / "run/config.yaml", run.folder / "kept.yaml");
  const std::string weights = content(run.checkpoint("run", 12) / "model.safetensors");
  for (const std::vector<std::string>& set : {std::vector<std::string>{}, {"data.train=[missing.txt]"}}) {
    EXPECT_EQ(run.exit_code("run", set), 4);
    EXPECT_NE(run.message.find("copy config.yaml back from the newest folder"), std::string::npos) << run.message;
    EXPECT_EQ(content(run.checkpoint("run", 12) / "model.safetensors"), weights);
    EXPECT_TRUE(fs::exists(run.folder / "run/journal.jsonl"));
  }
  fs::copy(run.checkpoint("run", 12) / "config.yaml", run.folder / "run/config.yaml");
  EXPECT_EQ(run.exit_code("run"), 0) << run.message;
}

TEST(RunFolders, WithoutTheirCheckpointsRunsDoNotStartAnew) {
  TinyRun run("steps: 20");
  run.session_stopped_after("run", 12);
  const std::string journal = content(run.folder / "run/journal.jsonl");
  fs::rename(run.folder / "run/checkpoints", run.folder / "away");
  const auto refused = [&] {
    EXPECT_EQ(run.exit_code("run"), 4);
    EXPECT_NE(run.message.find("holds no checkpoint"), std::string::npos) << run.message;
    EXPECT_EQ(content(run.folder / "run/journal.jsonl"), journal);
  };
  refused();
  fs::create_directory(run.folder / "run/checkpoints");
  refused();
  fs::remove(run.folder / "run/checkpoints");
  fs::rename(run.folder / "away", run.folder / "run/checkpoints");
  EXPECT_EQ(run.exit_code("run"), 0) << run.message;
  EXPECT_EQ(run.record.steps.front().step, 13);
}

TEST(RunFolders, AnEvaluationThatFailsCostsNoStep) {
  TinyRun run("steps: 6");
  run.overrides = {"train.eval_every=0", "train.checkpoint.every=0"};
  put(run.folder / "valid.txt", "x");  // nothing comes before it, so nothing is scored
  EXPECT_NE(run.exit_code("run"), 0);
  EXPECT_NE(run.message.find("[eval]"), std::string::npos) << run.message;
  EXPECT_TRUE(fs::exists(run.checkpoint("run", 6) / "model.safetensors"));
}

TEST(Training, ATableMayHaveMoreRowsThanTheTokenizerIds) {
  TinyRun run("steps: 14");
  EXPECT_EQ(run.exit_code("run", {"model.vocabulary=320"}), 0) << run.message;
  EXPECT_EQ(run.record.evaluations.size(), 1u);
}

TEST(Training, StagesThatShapeWeightsAnewAreRefusedAtTheStart) {
  TinyRun run("stages: [{steps: 4, learning_rate: 1e-3}, {steps: 4, learning_rate: 1e-3, model: {vocabulary: 512}}]");
  EXPECT_EQ(run.exit_code("run", {"model.vocabulary=300"}), 2);
  EXPECT_NE(run.message.find("a stage changes the parameter \"token_embedding.weight\" from [300, 16] to [512, 16]"), std::string::npos) << run.message;
  EXPECT_FALSE(fs::exists(run.folder / "run"));
}

TEST(RunFolders, WhatCannotStartLeavesNothingBehind) {
  TinyRun run("steps: 8");
  EXPECT_EQ(run.exit_code("run", {"run.device=cuda"}), 2);
  EXPECT_FALSE(fs::exists(run.folder / "run"));
  EXPECT_EQ(run.exit_code("run", {"data.train=[missing.txt]"}), 3);
  EXPECT_FALSE(fs::exists(run.folder / "run"));
  fs::create_directory(run.folder / "photos");
  put(run.folder / "photos/a.txt", "mine");
  EXPECT_EQ(run.exit_code("photos"), 2);
  EXPECT_EQ(content(run.folder / "photos/a.txt"), "mine");
  EXPECT_EQ(run.exit_code("run"), 0);
}

}  // namespace
}  // namespace longhaul::train
