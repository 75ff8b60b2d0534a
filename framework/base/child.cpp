#include "framework/base/child.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <string_view>

#include "framework/base/error.h"
#include "framework/base/interrupt.h"

namespace longhaul {
namespace {

constexpr int kPollMilliseconds = 50;
constexpr char kResult = 0, kOther = 127;  // first byte of an answer; between them, the kind of an Error

bool write_all(int to, std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = ::write(to, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return false;
    text.remove_prefix(static_cast<size_t>(done));
  }
  return true;
}

[[noreturn]] void be_child(int to, pid_t parent, const std::function<std::string()>& work) {
  for (const int number : {SIGTERM, SIGINT, SIGUSR1}) ::signal(number, SIG_IGN);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it ended before the line above
  const Interruptible shielded(nullptr);
  std::string answer;
  try {
    answer = std::string(1, kResult) + work();
  } catch (const Error& error) {
    answer = std::string(1, static_cast<char>(error.kind())) + error.what();
  } catch (const std::exception& error) {
    answer = std::string(1, kOther) + error.what();
  }
  ::_exit(write_all(to, answer) ? 0 : 1);
}

/// Ends and collects the child, whatever happens.
class Child {
 public:
  Child(pid_t id, int from) : id_(id), from_(from) {}
  ~Child() {
    ::close(from_);
    if (id_ > 0) {
      ::kill(id_, SIGKILL);
      wait();
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// Everything it writes until it closes its end.
  std::string read_all() {
    std::string text;
    std::array<char, 1 << 16> block{};
    while (true) {
      poll_interrupt();
      pollfd ready{from_, POLLIN, 0};
      const int found = ::poll(&ready, 1, kPollMilliseconds);
      if (found == 0 || (found < 0 && errno == EINTR)) continue;
      const ssize_t got = ::read(from_, block.data(), block.size());
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return text;
      text.append(block.data(), static_cast<size_t>(got));
    }
  }
  int wait() {
    int status = 0;
    while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
    }
    id_ = -1;
    return status;
  }

 private:
  pid_t id_;
  int from_;
};

[[noreturn]] void raise_as(ErrorKind kind, const std::string& message) {
  switch (kind) {
    case ErrorKind::kConfig:
      throw ConfigError(message);
    case ErrorKind::kData:
      throw DataError(message);
    case ErrorKind::kCheckpoint:
      throw CheckpointError(message);
    case ErrorKind::kGuard:
      throw GuardError(message);
    case ErrorKind::kRank:
      throw RankError(message);
    case ErrorKind::kFailure:
      break;
  }
  throw FailureError(message);
}

}  // namespace

std::string run_in_child(const std::string& what, const std::function<std::string()>& work) {
  std::array<int, 2> ends{};
  check(::pipe(ends.data()) == 0, "[system] {} needs a pipe: {}", what, std::strerror(errno));
  const pid_t parent = ::getpid();
  const pid_t id = ::fork();
  if (id == 0) {
    ::close(ends[0]);
    be_child(ends[1], parent, work);
  }
  ::close(ends[1]);
  if (id < 0) ::close(ends[0]);
  check(id > 0, "[system] {} needs a process of its own: {}", what, std::strerror(errno));
  Child child(id, ends[0]);
  const std::string answer = child.read_all();
  const int status = child.wait();
  check(!WIFSIGNALED(status), "[system] {} was ended by signal {} ({})\n  hint: too little memory is the usual cause",
        what, WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  check(!answer.empty() && WEXITSTATUS(status) == 0, "[system] {} ended without an answer", what);
  if (answer[0] == kResult) return answer.substr(1);
  if (answer[0] == kOther) fail("[system] {} failed: {}", what, answer.substr(1));
  raise_as(static_cast<ErrorKind>(answer[0]), answer.substr(1));
}

}  // namespace longhaul
