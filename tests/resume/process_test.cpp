// Real processes of `longhaul train`, stopped for real; then the same command again.
#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>

#include <random>

#include "tests/resume/program.h"
#include "tests/support/paths.h"
#include "tests/support/sanitizers.h"
#include "tests/support/tier.h"

namespace longhaul::train {
namespace {

using std::chrono::milliseconds;

class Processes : public ::testing::Test {
 protected:
  Processes() {
    run.overrides = {"run.threads=2", "train.checkpoint.every=4", "train.checkpoint.best=false"};
    // Threads of a run beside other tests sleep while they wait.
    setenv("OMP_WAIT_POLICY", "passive", 1);
  }
  int code_of(const std::vector<std::string>& arguments, const Program::Surroundings& around = {}) {
    Program program(arguments, output(), around);
    const int code = program.wait();
    said = program.output();
    return code;
  }
  int train(const std::string& name, const Program::Surroundings& around = {}) {
    return code_of(train_arguments(run, name), around);
  }
  fs::path output() const { return run.folder / "output.txt"; }
  /// Waits until the program has come this far, or has ended.
  template <typename Condition>
  static void wait_until(Program& program, Condition&& condition) {
    while (program.running() && !condition()) std::this_thread::sleep_for(milliseconds(2));
  }
  /// The step a journal has reached; 0 without one.
  int64_t journal_step(const std::string& name) const {
    const std::string journal = run.journal(name);
    const size_t at = journal.rfind("\"step\":");
    return at == std::string::npos ? 0 : std::stoll(journal.substr(at + 7));
  }
  int64_t newest_step(const std::string& name) const {
    const auto found = checkpoint::find_newest_sound(run.folder / name / "checkpoints");
    return found ? found->step : 0;
  }
  static bool anywhere(const fs::path& folder, const std::string& part) {
    std::error_code gone;
    for (const auto& entry : fs::directory_iterator(folder, gone)) {
      if (entry.path().filename().string().find(part) != std::string::npos) return true;
    }
    return false;
  }

  TinyRun run{"steps: 40"};
  std::string said;
};

/// Sessions that end by one or two signals, or by a kill, at random moments; each operation of the I/O layer is slowed
/// so that a good part of the moments lies inside saves. Then the final state is that of the unbroken run.
TEST_F(Processes, StoppedAtRandomMomentsTheRunEndsAsTheUnbrokenOne) {
  ASSERT_EQ(train("whole"), 0) << said;
  constexpr uint64_t kSeed = 20261125;
  std::mt19937_64 random(kSeed);
  const int runs = longhaul::testing::nightly() ? 60 : 6;
  const std::vector<std::vector<int>> actions = {{SIGTERM}, {SIGTERM, SIGTERM}, {SIGINT},           {SIGINT, SIGTERM},
                                                 {SIGKILL}, {SIGKILL},          {SIGUSR1, SIGTERM}, {SIGTERM, SIGKILL}};
  const Program::Surroundings slow = with_faults("slow=300");
  int stopped = 0, killed = 0, saving = 0;
  for (int number = 0; number < runs; ++number) {
    const std::string name = fmt::format("run{}", number);
    // Four sessions are cut; the fifth may end.
    for (int cut = 0; cut < 4; ++cut) {
      const std::vector<int>& action = actions[random() % actions.size()];
      const std::string before = run.journal(name);
      Program program(train_arguments(run, name), output(), slow);
      // Half of the moments count from the first step, half from the start of the process.
      if (random() % 2 == 0) wait_until(program, [&, from = journal_step(name)] { return journal_step(name) != from; });
      std::this_thread::sleep_for(milliseconds(random() % 250));
      for (const int signal : action) {
        program.send(signal);
        std::this_thread::sleep_for(milliseconds(random() % 20));
      }
      const bool mid_save = anywhere(run.folder / name / "checkpoints", ".tmp-");
      const int code = program.wait(std::chrono::seconds(60));
      const auto where = fmt::format("seed {}, run {}, cut {}, first signal {}\n{}", kSeed, number, cut, action[0],
                                     program.output());
      const int64_t reached = journal_step(name), saved = newest_step(name);
      switch (code) {
        case 0:  // finished before
          break;
        case 128 + SIGINT:
        case 128 + SIGTERM:
          ++stopped;
          EXPECT_TRUE(saved == reached || run.journal(name) == before) << saved << " " << reached << ": " << where;
          break;
        case 128 + SIGKILL:
          ++killed;
          saving += mid_save ? 1 : 0;
          EXPECT_LE(reached - saved, 4) << "more than one save interval was lost: " << where;
          break;
        case 128 + SIGUSR1:  // it came before the program had begun to listen
          EXPECT_TRUE(program.output().empty() && run.journal(name) == before) << where;
          break;
        default:
          ADD_FAILURE() << "exit code " << code << ": " << where;
      }
    }
    ASSERT_EQ(train(name), 0) << said;
    run.expect_same("whole", name, 40);
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(stopped, 0);
  EXPECT_GT(killed, 0);
  RecordProperty("stopped", stopped);
  RecordProperty("killed", killed);
  RecordProperty("killed_inside_a_save", saving);
}

TEST_F(Processes, AUserSignalSavesAndGoesOn) {
  ASSERT_EQ(train("whole"), 0) << said;
  run.overrides.push_back("train.checkpoint.keep=50");
  Program program(train_arguments(run, "run"), output(), with_faults("slow=300"));
  wait_until(program, [&] { return journal_step("run") >= 5; });
  for (int i = 0; i < 20 && program.running(); ++i) {
    program.send(SIGUSR1);
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(program.wait(), 0) << program.output();
  run.expect_same("whole", "run", 40);
  int asked_for = 0;
  for (const auto& entry : fs::directory_iterator(run.folder / "run/checkpoints")) {
    const auto step = checkpoint::step_of(entry.path().filename().string());
    asked_for += step && *step % 4 != 0 ? 1 : 0;
  }
  EXPECT_GT(asked_for, 0);
}

TEST_F(Processes, AFullDiskEndsTheRunAndCostsNothingThatWasSaved) {
  ASSERT_EQ(train("whole"), 0) << said;
  const rlim_t optimizer = fs::file_size(run.checkpoint("whole", 40) / "optimizer.safetensors");
  // A new run: no save fits.
  EXPECT_EQ(train("new", {.environment = {}, .largest_file = optimizer - 1, .memory = RLIM_INFINITY}), 1);
  EXPECT_NE(said.find("optimizer.safetensors"), std::string::npos) << said;
  EXPECT_NE(said.find("EFBIG"), std::string::npos) << said;
  EXPECT_EQ(newest_step("new"), 0);
  ASSERT_EQ(train("new"), 0) << said;
  run.expect_same("whole", "new", 40);
  // A run with a checkpoint keeps it.
  run.session_stopped_after("later", 9);
  EXPECT_EQ(train("later", {.environment = {}, .largest_file = optimizer - 1, .memory = RLIM_INFINITY}), 1);
  EXPECT_EQ(newest_step("later"), 9);
  EXPECT_FALSE(anywhere(run.folder / "later/checkpoints", ".tmp-")) << "a half save was left";
  ASSERT_EQ(train("later"), 0) << said;
  run.expect_same("whole", "later", 40);
}

/// A file system of its own that fills up: mounted in a name space of the shell's, where the system allows it.
TEST_F(Processes, AFileSystemThatFillsUpEndsTheRunAndCostsNothing) {
  if (std::system("unshare --map-root-user --mount true 2>/dev/null") != 0) {
    RecordProperty("file_system", "this user may not mount; files of limited size stand for it");
    return;
  }
  ASSERT_EQ(train("whole"), 0) << said;
  uintmax_t bytes = 0;
  for (const auto& file : fs::directory_iterator(run.checkpoint("whole", 40))) bytes += file.file_size();
  put(run.folder / "tiny.yaml", run.yaml);
  const fs::path disk = run.folder / "disk";
  fs::create_directory(disk);
  std::string command = fmt::format("'{}' train '{}' --run '{}/run'", program_path(),
                                    (run.folder / "tiny.yaml").string(), disk.string());
  for (const std::string& change : run.overrides) command += fmt::format(" --set '{}'", change);
  // Room for the checkpoints is asked for before the first step, so the rest is filled while the run goes on: a file
  // grows until the disk is full and goes when the run has ended. Then the run is given the room.
  put(run.folder / "script.sh",
      fmt::format("set -e\ncd '{0}'\nmount -t tmpfs -o size={1}k none disk\n"
                  "export LONGHAUL_IO_FAULTS=slow=500\n"
                  "{2} > first.txt 2>&1 & program=$!\n"
                  "until [ -e disk/run/checkpoints/step-00000008 ]; do kill -0 $program; sleep 0.01; done\n"
                  "cat /dev/zero > disk/filler 2>/dev/null || true\n"
                  "code=0; wait $program || code=$?\necho $code > code.txt\n"
                  "ls disk/run/checkpoints > left.txt\nrm disk/filler\n"
                  "{2} > second.txt 2>&1\ncp -r disk/run full\n",
                  run.folder.path().string(), 3 * (bytes / 1024 + 1024) + 1024, command));
  const std::string shell =
      fmt::format("unshare --map-root-user --mount sh '{0}' > '{0}.txt' 2>&1", (run.folder / "script.sh").string());
  ASSERT_EQ(std::system(shell.c_str()), 0) << content(run.folder / "script.sh.txt") << content(run.folder / "first.txt")
                                           << content(run.folder / "second.txt");
  EXPECT_EQ(content(run.folder / "code.txt"), "1\n");
  const std::string first = content(run.folder / "first.txt");
  EXPECT_NE(first.find("ENOSPC"), std::string::npos) << first;
  EXPECT_NE(content(run.folder / "left.txt").find("step-000000"), std::string::npos);
  EXPECT_EQ(content(run.folder / "left.txt").find(".tmp-"), std::string::npos) << content(run.folder / "left.txt");
  run.expect_same("whole", "full", 40);
}

TEST_F(Processes, ARunThatCannotHoldItsCheckpointsStopsBeforeTheFirstStep) {
  EXPECT_EQ(code_of(train_arguments(run, "run", {"--set", "train.checkpoint.keep=1000000000"})), 1);
  EXPECT_NE(said.find("1000000001 checkpoints"), std::string::npos) << said;
  EXPECT_FALSE(fs::exists(run.folder / "run"));
}

TEST_F(Processes, ASecondRunInTheFolderIsToldOfTheFirst) {
  Program first(train_arguments(run, "run"), run.folder / "first.txt",
                with_faults("slow=2000"));
  wait_until(first, [&] { return journal_step("run") >= 2; });
  const std::string before = content(run.folder / "run/config.yaml");
  EXPECT_EQ(train("run"), 1);
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  EXPECT_NE(said.find(fmt::format("is in use by process {} on host {}", first.id(), host.data())), std::string::npos)
      << said;
  ASSERT_TRUE(first.running());
  EXPECT_EQ(content(run.folder / "run/config.yaml"), before);
  first.send(SIGKILL);
  first.wait();
  EXPECT_EQ(train("run"), 0) << "a lock whose holder was killed blocks: " << said;
}

/// With less memory than it needs the program says so. (A limit that just admits the program but not the code oneDNN
/// generates ends inside that library.)
TEST_F(Processes, WithoutMemoryTheProgramEndsWithAMessage) {
  if (longhaul::testing::kSanitized) GTEST_SKIP() << "a sanitizer needs terabytes of address space itself";
  run.overrides = {"run.threads=1"};
  Program::Surroundings around;
  for (const rlim_t megabytes : {120, 200, 260}) {
    around.memory = megabytes << 20;
    EXPECT_EQ(train("small", around), 1) << said;
    EXPECT_NE(said.find("[memory]"), std::string::npos) << megabytes << " MiB: " << said;
    EXPECT_FALSE(fs::exists(run.folder / "small"));
  }
  around.memory = rlim_t{700} << 20;
  EXPECT_EQ(code_of(train_arguments(run, "large", {"--set", "model.dim=2048"}), around), 1) << said;
  EXPECT_NE(said.find("[memory]"), std::string::npos) << said;
  EXPECT_EQ(train("small", around), 0) << said;
}

TEST_F(Processes, TheResolvedConfigurationReproducesTheRun) {
  ASSERT_EQ(train("whole"), 0) << said;
  for (const char* from : {"whole/config.yaml", "whole/checkpoints/step-00000040/config.yaml"}) {
    fs::remove_all(run.folder / "again");
    EXPECT_EQ(code_of({"train", (run.folder / from).string(), "--run", (run.folder / "again").string()}), 0) << said;
    run.expect_same("whole", "again", 40);
  }
}

TEST_F(Processes, EachExitCodeIsThatOfTheDocumentation) {
  EXPECT_EQ(train("run"), 0) << said;
  EXPECT_EQ(train("run"), 0) << "a finished run: " << said;
  EXPECT_EQ(code_of(train_arguments(run, "run", {"--fresh"})), 2) << said;
  EXPECT_EQ(code_of(train_arguments(run, "run", {"--set", "model.dim=32"})), 2) << said;
  EXPECT_EQ(code_of(train_arguments(run, "other", {"--set", "model.dimm=32"})), 2) << said;
  EXPECT_EQ(code_of(train_arguments(run, "other", {"--set", "run.device=cuda"})), 2) << said;
  EXPECT_EQ(code_of(train_arguments(run, "other", {"--set", "data.train=[missing.txt]"})), 3) << said;
  EXPECT_EQ(code_of(train_arguments(run, "other", {"--set", "run.init_from=missing"})), 4) << said;
  EXPECT_EQ(code_of(train_arguments(run, "other",
                                    {"--set", "train.optimizer.learning_rate=1e30", "--set", "train.clip_norm=0",
                                     "--set", "train.schedule.warmup=0"})),
            5)
      << said;
  EXPECT_NE(said.find("[guard]"), std::string::npos) << said;
  std::string bytes = content(run.checkpoint("run", 40) / "model.safetensors");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  put(run.checkpoint("run", 40) / "model.safetensors", bytes);
  EXPECT_EQ(code_of(train_arguments(run, "run", {"--strict", "--set", "train.steps=44"})), 4) << said;
  EXPECT_EQ(code_of(train_arguments(run, "run", {"--set", "train.steps=44"})), 0) << said;
  for (const int64_t step : {40, 44}) fs::remove(run.checkpoint("run", step) / "state.json");
  EXPECT_EQ(code_of(train_arguments(run, "run", {"--set", "train.steps=48"})), 4) << said;
}

class Starts : public Processes {
 protected:
  /// A signal while the program is where `there` says; it ends with that signal's code and leaves nothing behind.
  template <typename There>
  void expect_stops(const std::vector<std::string>& arguments, const Program::Surroundings& around,
                    const std::vector<int>& signals, There&& there) {
    const std::vector<fs::path> before = everything();
    {
      Program program(arguments, output(), around);
      wait_until(program, there);
      ASSERT_TRUE(program.running()) << "it ended too early: " << program.output();
      for (const int signal : signals) program.send(signal);
      EXPECT_EQ(program.wait(std::chrono::seconds(30)), 128 + signals.front()) << program.output();
    }
    fs::remove(output());
    EXPECT_EQ(everything(), before);
  }
  std::vector<fs::path> everything() const {
    std::vector<fs::path> out;
    for (const auto& entry : fs::recursive_directory_iterator(run.folder.path())) {
      if (entry.path() != output() && entry.path() != run.folder / "cache") out.push_back(entry.path());
    }
    std::sort(out.begin(), out.end());
    return out;
  }
  /// Text of many different words.
  void write_long_text(size_t bytes) {
    std::string text;
    for (uint32_t x = 7; text.size() < bytes;) {
      x = x * 1664525u + 1013904223u;
      for (int i = 0; i < 3 + static_cast<int>(x >> 29); ++i) text += static_cast<char>('a' + (x >> (4 * i)) % 26);
      text += x % 11 == 0 ? '\n' : ' ';
    }
    put(run.folder / "train.txt", text);
  }
};

TEST_F(Starts, TokenizingIsLeftAtOnce) {
  write_long_text(4 << 20);
  put(run.folder / "tiny.yaml", run.yaml);
  // A read of a text takes a quarter of a second, so that the signal comes while much is still to be read.
  const Program::Surroundings slow = with_faults("slow=250000,op=read,path=train.txt");
  for (const auto& signals : std::vector<std::vector<int>>{{SIGTERM}, {SIGINT, SIGINT}, {SIGTERM, SIGINT, SIGUSR1}}) {
    expect_stops(train_arguments(run, "run"), slow, signals,
                 [&] { return anywhere(run.folder / "cache", ".tmp-"); });
  }
  expect_stops({"data", "prepare", "--out", (run.folder / "a.shard").string(), (run.folder / "train.txt").string()},
               slow, {SIGINT}, [&] { return anywhere(run.folder.path(), "a.shard.tmp-"); });
}

TEST_F(Starts, OthersLeaveTheFilesOfTheFirstAlone) {
  write_long_text(4 << 20);
  put(run.folder / "tiny.yaml", run.yaml);
  Program first(train_arguments(run, "run"), run.folder / "first.txt", with_faults("slow=250000,op=read,path=train.txt"));
  wait_until(first, [&] { return anywhere(run.folder / "cache", ".tmp-"); });  // it reads its text, and there is no config.yaml yet
  struct stat before{}, now{};
  ASSERT_EQ(::stat((run.folder / "run/lock").c_str(), &before), 0);
  for (int other = 0; other < 2; ++other) {
    EXPECT_EQ(train("run"), 1);
    EXPECT_NE(said.find("is in use by process"), std::string::npos) << said;
    ASSERT_EQ(::stat((run.folder / "run/lock").c_str(), &now), 0);
    EXPECT_EQ(now.st_ino, before.st_ino);
  }
  ASSERT_TRUE(first.running());
  first.send(SIGTERM);
  first.wait();
  EXPECT_FALSE(fs::exists(run.folder / "run"));
}

TEST_F(Starts, TrainingATokenizerIsLeftAtOnce) {
  write_long_text(6 << 20);
  for (const char* tokenizer : {"{kind: sentencepiece, vocab_size: 20000}", "{kind: bpe, vocab_size: 30000}"}) {
    run.overrides = {fmt::format("data.tokenizer={}", tokenizer)};
    for (const int signal : {SIGTERM, SIGINT}) {
      expect_stops(train_arguments(run, "run"), {}, {signal, signal}, [begin = std::chrono::steady_clock::now(), this] {
        return fs::exists(run.folder / "run/lock") && std::chrono::steady_clock::now() - begin > milliseconds(1200);
      });
    }
  }
}

/// The whole start of a resumed run, moment by moment: each read is slow and the signal comes later every time.
TEST_F(Starts, AResumedRunIsLeftAtAnyMomentOfItsStart) {
  ASSERT_EQ(train("whole"), 0) << said;
  run.session_stopped_after("run", 9);
  const Program::Surroundings slow = with_faults("slow=5000");
  int before_the_first_step = 0;
  for (int moment = 0; moment < 12; ++moment) {
    const int64_t from = journal_step("run");
    Program program(train_arguments(run, "run"), output(), slow);
    wait_until(program, [&] { return program.output().find("[resume]") != std::string::npos || moment % 2 == 0; });
    std::this_thread::sleep_for(milliseconds(60 + 12 * moment));
    program.send(moment % 3 == 0 ? SIGINT : SIGTERM);
    const int code = program.wait(std::chrono::seconds(30));
    if (code == 0) break;  // it was over before
    EXPECT_EQ(code, 128 + (moment % 3 == 0 ? SIGINT : SIGTERM)) << program.output();
    before_the_first_step += journal_step("run") == from ? 1 : 0;
  }
  EXPECT_GT(before_the_first_step, 0);
  ASSERT_EQ(train("run"), 0) << said;
  run.expect_same("whole", "run", 40);
}

}  // namespace
}  // namespace longhaul::train
