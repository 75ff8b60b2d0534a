// A step of a run, taken again, gives the bits it gave.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "tests/train/trainer/tiny_run.h"
#include "train/trainer/replay.h"

namespace longhaul::train {
namespace {

TEST(Replay, AnyStepGivesTheLossOfTheJournal) {
  TinyRun run("steps: 34");
  run.overrides = {"train.checkpoint.keep=1", "train.checkpoint.best=false"};
  run.session_stopped_after("run", 27);
  run.session("run");
  const std::string journal = run.journal("run");
  for (const int64_t step : {1, 20, 31, 34, 0}) {
    const Replayed again = replay_step(run.folder / "run", step);
    EXPECT_TRUE(again.same) << step;
    EXPECT_EQ(again.step, step == 0 ? 34 : step);
    EXPECT_EQ(again.from_step, 0);  // the one checkpoint is of step 34
    EXPECT_EQ(again.first_sample, 4 * (again.step - 1));
    EXPECT_EQ(again.last_sample, 4 * again.step - 1);
    EXPECT_FALSE(again.outcome.skipped);
  }
  EXPECT_EQ(run.journal("run"), journal);
  EXPECT_THROW(replay_step(run.folder / "run", 35), ConfigError);
  EXPECT_THROW(replay_step(run.folder / "none", 1), ConfigError);
}

TEST(Replay, StartsFromTheNewestCheckpointBeforeTheStep) {
  TinyRun run("steps: 28");
  run.overrides = {"train.checkpoint.keep=9"};
  run.session("run");
  const Replayed again = replay_step(run.folder / "run", 23);
  EXPECT_EQ(again.from_step, 20);
  EXPECT_TRUE(again.same);
}

/// A run that lets its weights overflow: the same steps are bad again, from the checkpoint that the guard left.
TEST(Replay, ABadStepIsBadAgainAndNamesTheFirstBadTensor) {
  TinyRun run("steps: 40");
  run.overrides = {"train.optimizer.learning_rate=1e30", "train.clip_norm=0", "train.schedule.warmup=0",
                   "train.checkpoint.every=0",           "train.eval_every=0", "train.max_bad_steps=4"};
  ASSERT_EQ(run.exit_code("run"), 5);
  const int64_t last = run.record.steps.back().step;
  EXPECT_NE(run.message.find(fmt::format("longhaul replay {} --step {}", (run.folder / "run").string(), last)),
            std::string::npos)
      << run.message;
  for (int64_t step = last; step > last - 4; --step) {
    const Replayed again = replay_step(run.folder / "run", step);
    EXPECT_TRUE(again.same) << replay_text(again);
    EXPECT_TRUE(again.outcome.skipped);
    EXPECT_FALSE(again.outcome.reason.empty());
    EXPECT_EQ(again.from_step, last) << "the weights have not changed since";
  }
  // The step before was taken; the checkpoint behind it does not have its weights.
  const Replayed good = replay_step(run.folder / "run", last - 4);
  EXPECT_EQ(good.from_step, 0);
  EXPECT_TRUE(good.same) << replay_text(good);
  EXPECT_FALSE(good.outcome.skipped);
}

/// What was bad by chance and not by the numbers comes out good, and is said to differ.
TEST(Replay, AFaultThatWasNotInTheNumbersShowsAsADifference) {
  TinyRun run("steps: 12");
  run.probe = [](int64_t step, const std::vector<optim::Parameter>& trained) {
    if (step == 1) {
      trained[0].variable.value().data<float>()[0] = std::numeric_limits<float>::infinity();
      trained[0].variable.changed();
    }
  };
  run.overrides = {"train.max_bad_steps=3", "train.eval_every=0"};
  ASSERT_EQ(run.exit_code("run"), 5);
  EXPECT_TRUE(replay_step(run.folder / "run", 2).same) << "the checkpoint of the guard holds the damaged weights";
  fs::remove_all(run.folder / "run/checkpoints");
  const Replayed again = replay_step(run.folder / "run", 2);
  EXPECT_EQ(again.from_step, 0);
  EXPECT_FALSE(again.same);
  EXPECT_FALSE(again.outcome.skipped);
  EXPECT_TRUE(std::isfinite(again.outcome.loss));
}

}  // namespace
}  // namespace longhaul::train
