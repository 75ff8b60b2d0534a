// A run that was cut and continued ends as the unbroken one, bit for bit.
#include <fmt/format.h>

#include <numeric>
#include <vector>

#include "tests/support/tier.h"
#include "tests/train/trainer/tiny_run.h"

namespace longhaul::train {
namespace {

constexpr int64_t kSteps = 60;  // three epochs

struct Case {
  const char* precision;
  int threads;
};

class Cut : public ::testing::TestWithParam<Case> {
 protected:
  Cut() {
    run.overrides = {fmt::format("run.precision={}", GetParam().precision),
                     fmt::format("run.threads={}", GetParam().threads)};
  }
  TinyRun run;
};

TEST_P(Cut, AfterAnyStepTheRunEndsAsTheUnbrokenOne) {
  EXPECT_EQ(run.session("whole").exit_code, 0);
  // First, warm-up, before and after a save, an evaluation, each epoch's border, late.
  std::vector<int64_t> cuts = {1, 2, 5, 10, 11, 14, 19, 20, 21, 41, 57, 59};
  if (longhaul::testing::nightly()) {
    cuts.resize(kSteps - 1);
    std::iota(cuts.begin(), cuts.end(), 1);
  }
  for (const int64_t cut : cuts) {
    const std::string name = fmt::format("cut{}", cut);
    run.session_stopped_after(name, cut);
    EXPECT_EQ(run.session(name).exit_code, 0);
    EXPECT_EQ(run.record.start.step, cut);
    EXPECT_EQ(run.record.steps.size(), static_cast<size_t>(kSteps - cut));
    run.expect_same("whole", name, kSteps);
  }
}

TEST(Resume, WithoutASaveTheRunGoesOnFromTheLastCheckpoint) {
  TinyRun run;
  EXPECT_EQ(run.session("whole").exit_code, 0);
  for (const int64_t cut : {1, 10, 13, 37, 60}) {
    const std::string name = fmt::format("killed{}", cut);
    run.session_killed_after(name, cut);
    EXPECT_EQ(run.session(name).exit_code, 0);
    EXPECT_LE(cut - run.record.start.step, 10) << "more than one save interval was lost";
    run.expect_same("whole", name, kSteps);
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, Cut,
                         ::testing::Values(Case{"f32", 1}, Case{"f32", 2}, Case{"bf16", 1}, Case{"bf16", 2}),
                         [](const auto& info) {
                           return fmt::format("{}With{}Threads", info.param.precision, info.param.threads);
                         });

TEST(Resume, AfterEveryStepEndsAsTheUnbrokenRun) {
  TinyRun run("steps: 24");
  EXPECT_EQ(run.session("whole").exit_code, 0);
  for (int64_t step = 1; step < 24; ++step) run.session_stopped_after("stopped", step);
  EXPECT_EQ(run.session("stopped").exit_code, 0);
  run.expect_same("whole", "stopped", 24);
}

TEST(Resume, AnyNumberOfThreadsGivesTheSameRun) {
  for (const char* precision : {"f32", "bf16"}) {
    TinyRun run("steps: 20");
    run.overrides = {fmt::format("run.precision={}", precision)};
    EXPECT_EQ(run.session("one", {"run.threads=1"}).exit_code, 0);
    EXPECT_EQ(run.session("again", {"run.threads=1"}).exit_code, 0);
    run.expect_same("one", "again", 20);
    for (const char* threads : {"2", "3", "8"}) {
      EXPECT_EQ(run.session(threads, {fmt::format("run.threads={}", threads)}).exit_code, 0);
      run.expect_same("one", threads, 20);
    }
  }
}

TEST(Resume, MetricsHoldEachStepOnce) {
  TinyRun run("steps: 24");
  run.session_killed_after("run", 17);
  EXPECT_EQ(run.session("run").exit_code, 0);
  EXPECT_EQ(run.record.start.step, 14);  // the best evaluation so far was saved
  const std::string journal = run.journal("run");
  for (int64_t step = 1; step <= 24; ++step) {
    const std::string key = fmt::format("\"step\":{},", step);
    const size_t first = journal.find(key);
    EXPECT_NE(first, std::string::npos) << step;
    EXPECT_EQ(journal.find(key, first + 1), std::string::npos) << step;
  }
}

TEST(Resume, LogLinesAfterACutSayWhatTheUnbrokenRunSays) {
  TinyRun run("steps: 24");
  run.session("whole");
  const auto whole = run.record.logs;
  run.session_stopped_after("cut", 10);  // in the middle of a log interval
  run.session("cut");
  ASSERT_FALSE(run.record.logs.empty());
  for (const StepMetrics& log : run.record.logs) {
    const auto same =
        std::find_if(whole.begin(), whole.end(), [&](const StepMetrics& w) { return w.step == log.step; });
    ASSERT_NE(same, whole.end()) << log.step;
    EXPECT_EQ(log.loss, same->loss) << log.step;
    EXPECT_EQ(log.tokens, same->tokens);
    EXPECT_EQ(log.grad_norm, same->grad_norm);
    EXPECT_EQ(log.learning_rate, same->learning_rate);
  }
}

}  // namespace
}  // namespace longhaul::train
