#include "framework/base/io.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <numeric>

#include "framework/base/error.h"
#include "framework/base/io_faults.h"

namespace longhaul::io {
namespace {

class IoTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "io-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { io::remove_all(folder_); }
  Path at(const std::string& name) const { return folder_ / name; }

  Path folder_;
};

std::string message_of(const auto& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string pattern(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + i * 7 % 26);
  return text;
}

TEST_F(IoTest, WhatIsWrittenIsRead) {
  write_new_file(at("a"), "hello");
  EXPECT_EQ(read_file(at("a")), "hello");
  EXPECT_EQ(info(at("a")).size, 5u);
  File file = File::open(at("a"));
  std::string two(2, '\0');
  file.read(3, std::as_writable_bytes(std::span(two)));
  EXPECT_EQ(two, "lo");
}

TEST_F(IoTest, FilesWithoutAReportedLengthAreReadToTheirEnd) { EXPECT_FALSE(read_file("/proc/self/status").empty()); }

TEST_F(IoTest, AFileIsNeverReadBeyondTheLimit) {
  write_new_file(at("a"), pattern(100));
  EXPECT_EQ(read_file(at("a"), 100), pattern(100));
  EXPECT_EQ(message_of([&] { read_file(at("a"), 99); }),
            "[io] cannot read " + at("a").string() + ": File too large (EFBIG)");
}

TEST_F(IoTest, ShortTransfersAreCompleted) {
  const FaultScope faults({.seed = 5, .short_transfers = true});
  write_new_file(at("a"), pattern(5000));
  EXPECT_EQ(read_file(at("a")), pattern(5000));
  EXPECT_GT(faults.count(), 20);
}

TEST_F(IoTest, AnInterruptedCallIsRepeated) {
  for (int64_t n = 1;; ++n) {
    io::remove_all(at("a"));
    const FaultScope faults({.at = n, .error = EINTR});
    write_new_file(at("a"), "hello");
    EXPECT_EQ(read_file(at("a")), "hello");
    if (faults.hits() == 0) break;
  }
}

TEST_F(IoTest, AnEndlesslyInterruptedCallIsAnError) {
  const FaultScope faults({.at = 1, .persistent = true, .error = EINTR});
  EXPECT_EQ(message_of([&] { File::open(at("a")); }),
            "[io] cannot open " + at("a").string() + ": Interrupted system call (EINTR)");
}

TEST_F(IoTest, ErrorsNameOperationPathReasonAndNumber) {
  EXPECT_EQ(message_of([&] { File::open(at("missing")); }),
            "[io] cannot open " + at("missing").string() + ": No such file or directory (ENOENT)");
  write_new_file(at("a"), "hello");
  EXPECT_EQ(message_of([&] { File::create(at("a")); }),
            "[io] cannot create " + at("a").string() + ": File exists (EEXIST)");
  EXPECT_EQ(message_of([&] { File::open(folder_); }),
            "[io] cannot open " + folder_.string() + ": Is a directory (EISDIR)");
  EXPECT_EQ(
      message_of([&] { io::rename(at("x"), at("y")); }),
      "[io] cannot rename " + at("x").string() + " to " + at("y").string() + ": No such file or directory (ENOENT)");
  EXPECT_EQ(message_of([&] { make_folder(folder_); }),
            "[io] cannot create folder " + folder_.string() + ": File exists (EEXIST)");
  try {
    File::open(at("missing"));
    FAIL();
  } catch (const IoError& error) {
    EXPECT_EQ(error.code(), ENOENT);
    EXPECT_EQ(error.exit_code(), 1);
  }
}

TEST_F(IoTest, AFullDiskTellsNeededAndFreeBytes) {
  const FaultScope faults({.at = 1, .error = ENOSPC, .only = "write"});
  const std::string text = message_of([&] { write_new_file(at("a"), pattern(4096)); });
  const std::string start =
      "[io] cannot write " + at("a").string() + ": No space left on device (ENOSPC)\n  needed 4096 bytes, free ";
  const std::string end = " bytes\n  hint: free space on the file system of " + folder_.string();
  ASSERT_EQ(text.substr(0, start.size()), start);
  ASSERT_EQ(text.substr(text.size() - end.size()), end);
  const std::string middle = text.substr(start.size(), text.size() - start.size() - end.size());
  EXPECT_FALSE(middle.empty());
  EXPECT_EQ(middle.find_first_not_of("0123456789"), std::string::npos) << text;
}

TEST_F(IoTest, AFileThatEndsEarlyIsAnErrorWithItsPositions) {
  write_new_file(at("a"), "hello");
  std::string ten(10, '\0');
  EXPECT_EQ(message_of([&] { File::open(at("a")).read(2, std::as_writable_bytes(std::span(ten))); }),
            "[io] " + at("a").string() +
                " ends at byte 5; bytes 2 to 12 were expected\n  hint: it was cut off or changed while it was read");
}

TEST_F(IoTest, AfterAFailedSyncTheSystemIsNotAskedAgain) {
  File file = File::create(at("a"));
  file.write("hello");
  const FaultScope faults({.at = 1, .error = EIO, .only = "sync"});
  const std::string expected =
      "[io] cannot sync " + at("a").string() +
      ": Input/output error (EIO)\n  hint: the device reports an error; the kernel's log (dmesg) may say more";
  EXPECT_EQ(message_of([&] { file.sync(); }), expected);
  EXPECT_EQ(message_of([&] { file.sync(); }), expected);
  EXPECT_EQ(faults.count(), 1);
}

TEST_F(IoTest, AFailingCloseIsReportedOnce) {
  File file = File::create(at("a"));
  const FaultScope faults({.at = 1, .error = ENOSPC, .only = "close"});
  EXPECT_THROW(file.close(), IoError);
  EXPECT_NO_THROW(file.close());
}

TEST_F(IoTest, OnlyRegularFilesAreOpenedAsSuch) {
  write_new_file(at("file"), "hello");
  EXPECT_NO_THROW(File::open_regular(at("file")));
  ASSERT_EQ(symlink(at("file").c_str(), at("link").c_str()), 0);
  ASSERT_EQ(mkfifo(at("pipe").c_str(), 0600), 0);
  make_folder(at("folder"));
  const std::string place = folder_.string();
  EXPECT_EQ(message_of([&] { File::open_regular(at("link")); }),
            "[io] cannot open " + place + "/link: Too many levels of symbolic links (ELOOP)");
  EXPECT_EQ(message_of([&] { File::open_regular(at("pipe")); }),
            "[io] cannot open " + place + "/pipe: Invalid argument (EINVAL)");
  EXPECT_EQ(message_of([&] { File::open_regular(at("folder")); }),
            "[io] cannot open " + place + "/folder: Is a directory (EISDIR)");
  EXPECT_EQ(message_of([&] { File::open_regular("/dev/zero"); }),
            "[io] cannot open /dev/zero: Invalid argument (EINVAL)");
  EXPECT_EQ(info(at("link")).kind, Kind::kLink);
  EXPECT_EQ(info_followed(at("link")).kind, Kind::kFile);
  EXPECT_EQ(info(at("pipe")).kind, Kind::kOther);
  EXPECT_EQ(info(at("file") / "below").kind, Kind::kMissing);
}

TEST_F(IoTest, AppendingContinuesAtTheEnd) {
  for (const char* text : {"one\n", "two\n"}) {
    File file = File::append(at("a"));
    file.write(text);
    file.write("more\n");
    file.close();
  }
  EXPECT_EQ(read_file(at("a")), "one\nmore\ntwo\nmore\n");
}

TEST_F(IoTest, AReplacedFileIsOldOrNewWhateverFails) {
  write_new_file(at("a"), "old");
  for (int64_t n = 1;; ++n) {
    const FaultScope faults({.at = n, .persistent = true, .error = EIO});
    bool failed = false;
    try {
      replace_file(at("a"), "new");
    } catch (const IoError&) {
      failed = true;
    }
    std::string content;  // read beside the layer: its reads would fail as well
    {
      FILE* raw = std::fopen(at("a").c_str(), "r");
      char buffer[8];
      content.assign(buffer, std::fread(buffer, 1, sizeof buffer, raw));
      std::fclose(raw);
    }
    EXPECT_TRUE(content == "old" || content == "new") << content;
    if (!failed) {
      EXPECT_EQ(content, "new");
      break;
    }
  }
  EXPECT_EQ(list(folder_), std::vector<std::string>{"a"});
}

TEST_F(IoTest, FoldersAreMadeListedAndRemovedWithoutFollowingLinks) {
  make_folders(at("x/y/z"));
  make_folders(at("x/y/z"));
  write_new_file(at("x/y/b"), "1");
  write_new_file(at("keep"), "1");
  ASSERT_EQ(symlink(at("keep").c_str(), at("x/y/a").c_str()), 0);
  EXPECT_EQ(list(at("x/y")), (std::vector<std::string>{"a", "b", "z"}));
  io::remove_all(at("x"));
  EXPECT_EQ(list(folder_), std::vector<std::string>{"keep"});
  EXPECT_NO_THROW(io::remove_all(at("x")));
}

TEST_F(IoTest, ALockIsHeldByOneOpenFileAndEndsWithIt) {
  File first = File::open_or_create(at("lock"));
  EXPECT_TRUE(first.try_lock());
  File second = File::open_or_create(at("lock"));
  EXPECT_FALSE(second.try_lock());
  first.close();
  EXPECT_TRUE(second.try_lock());
}

TEST_F(IoTest, AKilledProcessStopsBeforeTheChosenOperation) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const FaultScope faults({.at = 2, .kill = true, .tear = true, .only = "write"});
    File file = File::create(at("a"));
    file.write("1234");
    file.write("5678");
    file.write("90");
    _exit(0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_EQ(read_file(at("a")), "123456");
}

TEST_F(IoTest, TheRecorderKeepsWhatIsNeededForAReplay) {
  const Recorder recorder;
  replace_file(at("a"), "new");
  std::string log;
  for (const Event& event : recorder.events()) {
    if (event.operation == Operation::kRead) continue;
    log += std::string(name_of(event.operation)) + " " + Path(event.path).filename().string() +
           (event.target.empty() ? "" : ">" + Path(event.target).filename().string()) +
           (event.data.empty() ? "" : "=" + event.data) + (event.created ? "*" : "") + "\n";
  }
  EXPECT_EQ(log, "open a.tmp*\nwrite a.tmp=new\nsync a.tmp\nclose a.tmp\nrename a.tmp>a\nsyncdir " +
                     folder_.filename().string() + "\n");
}

TEST(FaultPlanDeathTest, TheEnvironmentVariableActsInAFreshProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // runs this program again
  const std::string path = testing::TempDir() + "io-environment";
  setenv(kFaultVariable, "op=write,path=io-environment,at=1,kill", 1);
  EXPECT_EXIT(write_new_file(path, "never written"), testing::KilledBySignal(SIGKILL), "");
  unsetenv(kFaultVariable);
  EXPECT_EQ(read_file(path), "");
  io::unlink(path);
}

TEST(FaultPlan, IsReadFromText) {
  const FaultPlan plan =
      FaultPlan::parse("at=12,error=ENOSPC,persistent,op=sync,path=model,seed=7,one_in=100,short,slow=5,kill,tear");
  EXPECT_EQ(plan.at, 12);
  EXPECT_EQ(plan.error, ENOSPC);
  EXPECT_EQ(plan.only, "sync");
  EXPECT_EQ(plan.path_part, "model");
  EXPECT_EQ(plan.seed, 7u);
  EXPECT_EQ(plan.one_in, 100);
  EXPECT_EQ(plan.slow_microseconds, 5);
  EXPECT_TRUE(plan.persistent && plan.short_transfers && plan.kill && plan.tear);
}

TEST(FaultPlan, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(message_of([] { FaultPlan::parse("at=x"); }), "[faults] \"at=x\" is not a whole number of 0 or more");
  EXPECT_EQ(message_of([] { FaultPlan::parse("error=EWHAT"); }),
            "[faults] unknown error name in \"error=EWHAT\"\n  hint: for instance error=EIO or error=ENOSPC");
  EXPECT_EQ(message_of([] { FaultPlan::parse("op=fly"); }),
            "[faults] unknown operation \"fly\"\n  hint: one of open read write sync close rename unlink mkdir rmdir "
            "list stat "
            "syncdir truncate lock");
  EXPECT_EQ(message_of([] { FaultPlan::parse("at=1,boom"); }),
            "[faults] unknown part \"boom\" in a fault specification\n  hint: at=N, error=NAME, persistent, kill, "
            "tear, op=NAME, "
            "path=TEXT, seed=N, one_in=N, short, slow=MICROSECONDS");
}

TEST_F(IoTest, RandomFaultsComeBackFromTheirSeed) {
  const auto failures = [&](uint64_t seed) {
    std::string pattern;
    const FaultScope faults({.error = EIO, .seed = seed, .one_in = 4});
    for (int i = 0; i < 64; ++i) {
      try {
        info(folder_);
        pattern += '.';
      } catch (const IoError&) {
        pattern += 'x';
      }
    }
    return pattern;
  };
  EXPECT_EQ(failures(1), failures(1));
  EXPECT_NE(failures(1), failures(2));
  EXPECT_NE(failures(1).find('x'), std::string::npos);
}

}  // namespace
}  // namespace longhaul::io
