// A run whose folder was changed in any way is continued, or refused by one of the documented codes.
#include <fmt/format.h>

#include <set>

#include "framework/checkpoint/checkpoint.h"
#include "tests/hostile/mutation.h"
#include "tests/train/trainer/tiny_run.h"

namespace longhaul::train {
namespace {

using hostile::attack;
using hostile::Mutator;

TEST(HostileRuns, AChangedRunFolderIsContinuedOrRefused) {
  TinyRun run("steps: 12");
  run.overrides = {"train.checkpoint.every=2", "train.checkpoint.keep=3", "train.eval_every=0", "run.threads=1"};
  run.session_stopped_after("sound", 9);
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(run.folder / "sound")) {
    const fs::path path = fs::relative(entry.path(), run.folder / "sound");
    if (entry.is_regular_file() && path != "lock") files.push_back(path);
  }
  std::sort(files.begin(), files.end());
  run.session("whole");
  std::set<int> codes;
  attack("run folder", 60, [&](Mutator& mutator) {
    fs::remove_all(run.folder / "cut");
    fs::copy(run.folder / "sound", run.folder / "cut", fs::copy_options::recursive);
    const fs::path& victim = run.folder / "cut" / files[mutator.below(files.size())];
    const std::string before = content(victim);
    const bool binary = victim.extension() == ".safetensors";
    put(victim, binary ? mutator.bytes(before) : mutator.text(before));
    const int code = run.exit_code("cut");
    codes.insert(code);
    ASSERT_TRUE(code == 0 || code == 2 || code == 3 || code == 4) << victim << ": " << code << " " << run.message;
    EXPECT_EQ(run.message.find("[internal]"), std::string::npos) << victim << ": " << run.message;
    // Nothing in a checkpoint may change in silence: what is continued ends as the unbroken run.
    if (code == 0 && victim.string().find("checkpoints") != std::string::npos) run.expect_same("whole", "cut", 12);
    run.message.clear();
  });
  EXPECT_TRUE(codes.contains(0));
  EXPECT_GT(codes.size(), 1u);
}

}  // namespace
}  // namespace longhaul::train
