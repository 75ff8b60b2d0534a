#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>

#include "framework/base/io_faults.h"
#include "framework/checkpoint/folders.h"
#include "tests/framework/checkpoint/crash_model.h"
#include "tests/support/folder_test.h"
#include "tests/support/tier.h"
#include "tests/support/tiny_run.h"

namespace longhaul::checkpoint {
namespace {

/// Runs `work` in a process of its own; true when it ended by SIGKILL, false when it ended by itself without error.
template <typename Work>
bool killed(Work&& work) {
  const pid_t child = fork();
  if (child == 0) {
    try {
      work();
    } catch (...) {
      _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) throw std::runtime_error("waitpid failed");
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0) throw std::runtime_error("the child failed by itself");
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

class CrashTest : public FolderTest {};

/// Every operation of a save is the last one, once before it is carried out and, for writes, once in its middle.
TEST_F(CrashTest, AProcessKilledAtAnyOperationLeavesTheOldOrTheNewCheckpoint) {
  const io::Path folder = at("checkpoints");
  for (const int keep : {1, 2}) {
    const Retention retention{.keep = keep, .pinned = {}};
    int64_t old_found = 0;
    int64_t new_found = 0;
    for (int64_t n = 1;; ++n) {
      io::remove_all(folder);
      TinyRun::save(folder, 10, retention);
      const bool tear = n % 2 == 0;
      const bool ended = killed([&] {
        const io::FaultScope faults({.at = (n + 1) / 2, .kill = true, .tear = tear});
        TinyRun::save(folder, 20, retention);
      });
      const int64_t recovered = TinyRun::recovered_step(folder);
      ASSERT_TRUE(recovered == 10 || recovered == 20) << "operation " << n / 2 << ": " << recovered;
      (recovered == 10 ? old_found : new_found) += 1;
      if (!ended) break;
      TinyRun::save(folder, 30, retention);
      ASSERT_EQ(TinyRun::recovered_step(folder), 30);
      for (const std::string& name : io::list(folder)) ASSERT_TRUE(step_of(name)) << name;
    }
    EXPECT_GT(old_found, 50);
    EXPECT_GT(new_found, 20);
  }
}

/// A process that saves without pause is killed at random moments; the share of kills inside a save is measured.
TEST_F(CrashTest, RandomKillsNeverLoseTheRun) {
  void* shared = mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto* saving = new (shared) std::atomic<int>(0);
  constexpr uint64_t kSeed = 20240611;
  std::mt19937_64 random(kSeed);
  const io::Path folder = at("checkpoints");
  const int kills = longhaul::testing::nightly() ? 2000 : 100;
  int inside = 0;
  TinyRun::save(folder, 1);
  for (int kill_number = 0; kill_number < kills; ++kill_number) {
    const int64_t before = TinyRun::recovered_step(folder);
    ASSERT_GE(before, 1) << "seed " << kSeed << ", kill " << kill_number;
    *saving = 0;
    const pid_t child = fork();
    if (child == 0) {
      const io::FaultScope slow({.slow_microseconds = 150});
      for (int64_t step = before + 1;; ++step) {
        *saving = 1;
        TinyRun::save(folder, step);
        *saving = 2;
      }
    }
    while (*saving == 0) usleep(100);
    usleep(static_cast<useconds_t>(random() % 60'000));
    kill(child, SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    inside += *saving == 1 ? 1 : 0;
    const int64_t after = TinyRun::recovered_step(folder);
    ASSERT_GE(after, before) << "seed " << kSeed << ", kill " << kill_number;
    remove_leftovers(folder);
  }
  munmap(shared, sizeof(std::atomic<int>));
  EXPECT_GE(inside, kills * 8 / 10) << "too few kills fell inside a save for this test to mean anything";
  RecordProperty("kills_inside_a_save", inside);
}

class PowerLossTest : public FolderTest {
 protected:
  /// Records a save of step 20 with step 10 in place; `before` may prepare more.
  CrashModel recorded(int64_t step, const Retention& retention) {
    TinyRun::save(root_, 10, retention);
    CrashModel model(root_);
    const io::Recorder recorder;
    TinyRun::save(root_, step, retention);
    model.replay(recorder.events());
    return model;
  }
  /// The step that a crash behind `prefix` operations leaves; -1 none, -2 a mixture.
  int64_t after(const CrashModel& model, size_t prefix, const CrashModel::Choice& choice, bool ignore_syncs = false) {
    const io::Path place = at("crashed");
    io::remove_all(place);
    model.materialize(prefix, choice, place, ignore_syncs);
    try {
      return TinyRun::recovered_step(place);
    } catch (const CheckpointError&) {
      return -1;
    }
  }
  void SetUp() override {
    FolderTest::SetUp();
    root_ = at("checkpoints");
  }

  static constexpr auto kAll = [](size_t, const CrashModel::Step&) { return 1.0; };
  static constexpr auto kNothing = [](size_t, const CrashModel::Step&) { return 0.0; };
  static constexpr auto kEntries = [](size_t, const CrashModel::Step& step) { return step.is_data() ? 0.0 : 1.0; };
  static constexpr auto kContents = [](size_t, const CrashModel::Step& step) { return step.is_data() ? 1.0 : 0.0; };
  io::Path root_;
};

TEST_F(PowerLossTest, EveryPrefixRecoversTheOldOrTheNewCheckpoint) {
  for (const int keep : {1, 2}) {
    for (const int64_t step : {10, 20}) {  // 10: the same step saved again
      io::remove_all(root_);
      const CrashModel model = recorded(step, {.keep = keep, .pinned = {}});
      ASSERT_GT(model.size(), 30u);
      for (size_t prefix = 0; prefix <= model.size(); ++prefix) {
        for (const CrashModel::Choice& choice : std::vector<CrashModel::Choice>{kAll, kNothing, kEntries, kContents}) {
          const int64_t recovered = after(model, prefix, choice);
          ASSERT_TRUE(recovered == 10 || recovered == step)
              << "keep " << keep << ", prefix " << prefix << ": " << recovered;
        }
      }
      // A save that returned is there whatever happens afterwards.
      EXPECT_EQ(after(model, model.size(), kNothing), step);
    }
  }
}

TEST_F(PowerLossTest, RandomLossesAndTornWritesRecoverTheOldOrTheNewCheckpoint) {
  const CrashModel model = recorded(20, {.keep = 1, .pinned = {}});
  for (uint64_t seed = 1; seed <= 1000; ++seed) {
    std::mt19937_64 random(seed);
    const size_t prefix = random() % (model.size() + 1);
    const int64_t recovered = after(model, prefix, [&](size_t, const CrashModel::Step&) {
      const uint64_t draw = random();
      return draw % 4 == 0 ? static_cast<double>(draw >> 32) / 4294967296.0 : static_cast<double>(draw % 2);
    });
    ASSERT_TRUE(recovered == 10 || recovered == 20) << "seed " << seed << ", prefix " << prefix << ": " << recovered;
  }
}

/// The control: were the syncs left out, the same states would lose the run.
TEST_F(PowerLossTest, WithoutSyncsSomeCrashWouldLoseEverything) {
  const CrashModel model = recorded(20, {.keep = 1, .pinned = {}});
  int lost = 0;
  for (size_t prefix = 0; prefix <= model.size(); ++prefix) lost += after(model, prefix, kEntries, true) < 0 ? 1 : 0;
  EXPECT_GT(lost, 0);
}

}  // namespace
}  // namespace longhaul::checkpoint
