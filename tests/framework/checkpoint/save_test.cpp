#include <set>

#include "framework/base/io_faults.h"
#include "framework/checkpoint/folders.h"
#include "tests/support/folder_test.h"
#include "tests/support/tiny_run.h"

namespace longhaul::checkpoint {
namespace {

class SaveTest : public FolderTest {
 protected:
  /// Names of what is neither a committed checkpoint nor gone.
  std::vector<std::string> leftovers() const {
    std::vector<std::string> out;
    for (const std::string& name : io::list(folder_)) {
      if (!step_of(name)) out.push_back(name);
    }
    return out;
  }
};

TEST_F(SaveTest, ACheckpointComesBackBitForBit) {
  const SaveReport report = TinyRun::save(folder_, 500);
  EXPECT_EQ(report.folder, folder_ / "step-00000500");
  EXPECT_EQ(io::list(report.folder),
            (std::vector<std::string>{"config.yaml", "manifest.json", "model.safetensors", "optimizer.safetensors",
                                      "state.json", "state.safetensors", "tokenizer.json"}));
  EXPECT_TRUE(verify(report.folder).empty());
  EXPECT_EQ(TinyRun::recovered_step(folder_), 500);
  const Manifest manifest = read_manifest(report.folder);
  EXPECT_EQ(manifest.step, 500);
  EXPECT_EQ(manifest.cursor, 4000);
  EXPECT_EQ(manifest.data.size(), 1u);
  EXPECT_EQ(manifest.find("model.safetensors")->tensors.size(), 2u);
}

TEST_F(SaveTest, TwoSavesOfOneStateAreEqualByteForByte) {
  TinyRun::save(at("a"), 7);
  TinyRun::save(at("b"), 7);
  for (const std::string& name : io::list(at("a/step-00000007"))) {
    EXPECT_EQ(io::read_file(at("a/step-00000007") / name), io::read_file(at("b/step-00000007") / name)) << name;
  }
}

TEST_F(SaveTest, SavingAStepAgainReplacesIt) {
  TinyRun::save(folder_, 7, {.keep = 1, .pinned = {}});
  TinyRun::save(folder_, 7, {.keep = 1, .pinned = {}});
  EXPECT_EQ(io::list(folder_), std::vector<std::string>{"step-00000007"});
  EXPECT_EQ(TinyRun::recovered_step(folder_), 7);
}

TEST_F(SaveTest, AnInterruptedReplacementIsStillFoundAndUndone) {
  TinyRun::save(folder_, 7);
  io::rename(at("step-00000007"), at("step-00000007.del-1-1"));
  EXPECT_EQ(TinyRun::recovered_step(folder_), 7);
  remove_leftovers(folder_);
  EXPECT_EQ(io::list(folder_), std::vector<std::string>{"step-00000007"});
}

TEST_F(SaveTest, LeftoversGoAtTheNextStartAndOtherFilesStay) {
  TinyRun::save(folder_, 7);
  io::make_folder(at("step-00000008.tmp-1-1"));
  io::write_new_file(at("step-00000008.tmp-1-1") / "model.safetensors", "half");
  io::make_folder(at("step-00000003.del-1-2"));
  io::make_folder(at("step-9"));
  io::write_new_file(at("notes.txt"), "mine");
  remove_leftovers(folder_);
  EXPECT_EQ(io::list(folder_), (std::vector<std::string>{"notes.txt", "step-00000007", "step-9"}));
}

TEST_F(SaveTest, ARunWithoutSpaceForItsCheckpointsIsToldAtOnce) {
  EXPECT_NO_THROW(require_space(folder_, 1, 2));
  const std::string text = message_of([&] { require_space(folder_, uint64_t{1} << 60, 2); });
  EXPECT_EQ(text.substr(0, text.find(" bytes free")).find("[checkpoint] " + folder_.string() + " has "), 0u);
  EXPECT_NE(text.find(" bytes free, 3 checkpoints of 1152921504606846976 bytes need 3458764513820540928\n  hint: free "
                      "space there, choose "
                      "another folder with --run, or lower train.checkpoint.keep"),
            std::string::npos);
}

/// Every operation of a save fails once, or from then on, with every errno: the old checkpoint loads, the message names
/// operation, path and reason, and a later save works and leaves nothing behind.
TEST_F(SaveTest, AnyFailureOfAnyOperationCostsNothingThatWasSaved) {
  const io::Path folder = at("checkpoints");
  int64_t failed = 0;
  int64_t saved = 0;
  for (const int code : {ENOSPC, EDQUOT, EIO, EACCES, EROFS, EINTR}) {
    for (const bool persistent : {false, true}) {
      for (int64_t n = 1;; ++n) {
        io::remove_all(folder);
        TinyRun::save(folder, 10);
        bool hit = false;
        std::string message;
        {
          const io::FaultScope faults({.at = n, .persistent = persistent, .error = code});
          try {
            TinyRun::save(folder, 20);
            ++saved;
          } catch (const Error& error) {
            ++failed;
            message = error.what();
          }
          hit = faults.hits() > 0;
        }
        if (!hit) break;
        const int64_t recovered = TinyRun::recovered_step(folder);
        ASSERT_TRUE(recovered == 10 || recovered == 20) << n << " " << strerrorname_np(code) << ": " << recovered;
        if (message.empty()) {
          ASSERT_EQ(recovered, 20) << n;
        } else {
          ASSERT_NE(message.find(strerrorname_np(code)), std::string::npos) << message;
          ASSERT_NE(message.find(folder.string()), std::string::npos) << message;
          ASSERT_NE(message.find("cannot "), std::string::npos) << message;
          if (code == ENOSPC || code == EDQUOT) {
            ASSERT_NE(message.find(" bytes, free "), std::string::npos) << message;
          }
        }
        int64_t temporary = 0;
        for (const std::string& name : io::list(folder)) temporary += name.find(".tmp-") != std::string::npos;
        ASSERT_LE(temporary, 1) << n;
        TinyRun::save(folder, 30);
        ASSERT_EQ(TinyRun::recovered_step(folder), 30);
        for (const std::string& name : io::list(folder)) ASSERT_TRUE(step_of(name)) << name;
      }
    }
  }
  EXPECT_GT(failed, 500);
  EXPECT_GT(saved, 50);  // EINTR and failing rotations
  RecordProperty("failed_saves", static_cast<int>(failed));
}

TEST_F(SaveTest, ShortTransfersDoNotChangeACheckpoint) {
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    io::remove_all(at("checkpoints"));
    const io::FaultScope faults({.seed = seed, .short_transfers = true});
    TinyRun::save(at("checkpoints"), 10);
    EXPECT_EQ(TinyRun::recovered_step(at("checkpoints")), 10);
  }
}

TEST_F(SaveTest, AFailedSyncIsNeverTriedAgainAndTheNextSaveWritesAnew) {
  TinyRun::save(folder_, 10);
  for (const char* operation : {"sync", "syncdir"}) {
    for (int64_t n = 1;; ++n) {
      std::vector<io::Event> events;
      bool hit = false;
      std::string message;
      {
        const io::Recorder recorder;
        const io::FaultScope faults({.at = n, .error = EIO, .only = operation});
        message = message_of([&] { TinyRun::save(folder_, 20, {.keep = 1, .pinned = {}}); });
        hit = faults.hits() > 0;
        events = recorder.events();
      }
      if (!hit) break;
      std::set<std::string> failed;
      for (const io::Event& event : events) {
        const bool sync = event.operation == io::Operation::kSync || event.operation == io::Operation::kSyncFolder;
        if (!sync) continue;
        EXPECT_FALSE(failed.contains(event.path)) << event.path << " was synced again";
        if (event.error != 0) failed.insert(event.path);
      }
      EXPECT_EQ(failed.size(), 1u);
      const int64_t recovered = TinyRun::recovered_step(folder_);
      EXPECT_TRUE(recovered == 10 || recovered == 20) << recovered;
      if (message != "no error") {
        EXPECT_EQ(
            message.find("[checkpoint] step 20 was not saved; older checkpoints are untouched\n  [io] cannot sync "),
            0u)
            << message;
      }
      io::remove_all(at("step-00000020"));
      TinyRun::save(folder_, 10);
    }
  }
}

TEST_F(SaveTest, TheMessageOfAFailedSaveIsWhole) {
  const io::FaultScope faults({.at = 1, .error = EIO, .only = "write", .path_part = "optimizer"});
  const std::string text = message_of([&] { TinyRun::save(folder_, 20); });
  const std::string start =
      "[checkpoint] step 20 was not saved; older checkpoints are untouched\n  [io] cannot write " + folder_.string() +
      "/step-00000020.tmp-";
  const std::string end =
      "/optimizer.safetensors: Input/output error (EIO)\n  hint: the device reports an error; the kernel's log (dmesg) "
      "may say more";
  EXPECT_EQ(text.substr(0, start.size()), start);
  EXPECT_EQ(text.substr(text.size() - end.size()), end);
  EXPECT_TRUE(io::list(folder_).empty());
}

/// Rotation: whatever fails, wherever, the number of sound checkpoints never falls below one, and once saves work again
/// exactly the newest `keep` and the pinned one remain.
TEST_F(SaveTest, RotationKeepsTheNewestAndThePinnedWhateverFails) {
  for (const int keep : {1, 2, 5}) {
    const io::Path folder = at("keep" + std::to_string(keep));
    const Retention retention{.keep = keep, .pinned = {20}};
    TinyRun::save(folder, 10, retention);
    for (int64_t step = 20; step <= 120; step += 10) {
      if (step % 30 == 0) {
        const io::FaultScope faults({.at = step * 7 % 90 + 1, .persistent = true, .error = EIO});
        try {
          TinyRun::save(folder, step, retention);
        } catch (const Error&) {
        }
      } else {
        const SaveReport report = TinyRun::save(folder, step, retention);
        EXPECT_EQ(report.warning, "");
      }
      ASSERT_GE(TinyRun::recovered_step(folder), 10);
      if (step >= 20) {
        ASSERT_TRUE(verify(folder / "step-00000020").empty()) << step;
      }
    }
    TinyRun::save(folder, 130, retention);
    std::vector<int64_t> steps = steps_of(folder);
    EXPECT_EQ(steps.front(), 20);
    EXPECT_EQ(static_cast<int>(steps.size()), keep + 1);
    EXPECT_EQ(steps.back(), 130);
  }
}

TEST_F(SaveTest, ADamagedFolderTakesNoSoundOnesPlace) {
  const Retention retention{.keep = 2, .pinned = {}};
  TinyRun::save(folder_, 10, retention);
  TinyRun::save(folder_, 20, retention);
  io::unlink(at("step-00000020") / kManifestName);
  TinyRun::save(folder_, 30, retention);
  EXPECT_EQ(steps_of(folder_), (std::vector<int64_t>{10, 20, 30}));
  TinyRun::save(folder_, 40, retention);
  EXPECT_EQ(steps_of(folder_), (std::vector<int64_t>{30, 40}));
}

TEST_F(SaveTest, ADamagedNewerFolderDoesNotPushOutWhatWasJustSaved) {
  const Retention retention{.keep = 1, .pinned = {}};
  TinyRun::save(folder_, 30, retention);
  io::unlink(at("step-00000030") / "state.json");
  TinyRun::save(folder_, 20, retention);
  EXPECT_EQ(TinyRun::recovered_step(folder_), 20);
  TinyRun::save(folder_, 30, retention);
  EXPECT_EQ(TinyRun::recovered_step(folder_), 30);
  EXPECT_EQ(io::list(folder_), std::vector<std::string>{"step-00000030"});
}

TEST_F(SaveTest, AFailedRotationIsAWarningAboutASoundSave) {
  const Retention retention{.keep = 1, .pinned = {}};
  TinyRun::save(folder_, 10, retention);
  const io::FaultScope faults({.at = 2, .error = EACCES, .only = "rename"});
  const SaveReport report = TinyRun::save(folder_, 20, retention);
  const std::string start =
      "[checkpoint] step 20 is saved, but older checkpoints could not be removed: [io] cannot rename " +
      folder_.string() + "/step-00000010 to ";
  EXPECT_EQ(report.warning.substr(0, start.size()), start);
  EXPECT_EQ(TinyRun::recovered_step(folder_), 20);
}

TEST_F(SaveTest, AtLeastOneCheckpointMustBeKept) {
  EXPECT_EQ(message_of([&] { TinyRun::save(folder_, 10, {.keep = 0, .pinned = {}}); }),
            "[checkpoint] keep = 0: at least 1 checkpoint must stay");
}

}  // namespace
}  // namespace longhaul::checkpoint
