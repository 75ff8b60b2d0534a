#include "framework/checkpoint/run_lock.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <regex>

#include "tests/support/folder_test.h"

namespace longhaul::checkpoint {
namespace {

class RunLockTest : public FolderTest {
 protected:
  /// Starts a process that holds the lock until it is killed.
  pid_t start_holder() {
    std::array<int, 2> ready{};
    if (pipe(ready.data()) != 0) throw std::runtime_error("pipe failed");
    const pid_t child = fork();
    if (child == 0) {
      const RunLock lock(folder_);
      if (write(ready[1], "x", 1) != 1) _exit(1);
      for (;;) pause();
    }
    char byte = 0;
    if (read(ready[0], &byte, 1) != 1) throw std::runtime_error("the holder did not start");
    close(ready[0]);
    close(ready[1]);
    return child;
  }
};

TEST_F(RunLockTest, ASecondRunLearnsHostAndProcessOfTheFirst) {
  const pid_t holder = start_holder();
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  const std::string text = message_of([&] { const RunLock second(folder_); });
  const std::string blurred =
      std::regex_replace(text, std::regex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"), "TIME");
  EXPECT_EQ(blurred,
            "[run] " + folder_.string() + " is in use by process " + std::to_string(holder) + " on host " +
                host.data() +
                ", started TIME\n  hint: wait until it has ended, stop it, or choose another folder with --run");
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
}

TEST_F(RunLockTest, ALockWhoseHolderWasKilledDoesNotBlock) {
  const pid_t holder = start_holder();
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
  EXPECT_TRUE(io::exists(at("lock")));
  EXPECT_NO_THROW(const RunLock lock(folder_));
}

TEST_F(RunLockTest, ALockEndsWithItsObject) {
  { const RunLock lock(folder_); }
  EXPECT_NO_THROW(const RunLock lock(folder_));
}

}  // namespace
}  // namespace longhaul::checkpoint
