// defines: Program, train_arguments
#pragma once
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <thread>

#include "tests/support/paths.h"
#include "tests/train/trainer/tiny_run.h"

namespace longhaul::train {

/// A process of the program, with its output in a file. Killed with its object.
class Program {
 public:
  struct Surroundings {
    std::map<std::string, std::string> environment;
    rlim_t largest_file = RLIM_INFINITY;  // bytes
    rlim_t memory = RLIM_INFINITY;        // bytes of address space
  };

  Program(const std::vector<std::string>& arguments, const fs::path& output) : Program(arguments, output, {}) {}
  Program(const std::vector<std::string>& arguments, const fs::path& output, const Surroundings& around)
      : output_(output) {
    std::vector<std::string> all = {program_path()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& argument : all) argv.push_back(argument.data());
    argv.push_back(nullptr);
    id_ = fork();
    if (id_ == 0) {
      if (!freopen("/dev/null", "r", stdin) || !freopen(output.c_str(), "w", stdout)) _exit(99);
      dup2(STDOUT_FILENO, STDERR_FILENO);
      for (const auto& [name, value] : around.environment) setenv(name.c_str(), value.c_str(), 1);
      limit(RLIMIT_FSIZE, around.largest_file);
      limit(RLIMIT_AS, around.memory);
      execv(argv[0], argv.data());
      _exit(99);
    }
  }
  ~Program() {
    if (id_ <= 0) return;
    ::kill(id_, SIGKILL);
    waitpid(id_, nullptr, 0);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t id() const { return id_; }
  void send(int number) const { ::kill(id_, number); }
  bool running() {
    if (id_ > 0 && waitpid(id_, &status_, WNOHANG) == id_) id_ = -1;
    return id_ > 0;
  }
  /// Its exit code; 128 + signal when one ended it, as a shell says. A process that does not end is a failed test.
  int wait(std::chrono::seconds most = std::chrono::seconds(120)) {
    const auto end = std::chrono::steady_clock::now() + most;
    while (running() && std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    if (id_ > 0) {
      ADD_FAILURE() << "the program did not end:\n" << output();
      ::kill(id_, SIGKILL);
      waitpid(id_, &status_, 0);
      id_ = -1;
    }
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  }
  std::string output() const { return content(output_); }

 private:
  static void limit(__rlimit_resource_t resource, rlim_t most) {
    const rlimit both{most, most};
    if (most != RLIM_INFINITY && setrlimit(resource, &both) != 0) _exit(99);
  }
  fs::path output_;
  pid_t id_ = -1;
  int status_ = 0;
};

/// Operations of the I/O layer are slowed or fail, as a FaultPlan says.
inline Program::Surroundings with_faults(const std::string& plan) {
  Program::Surroundings out;
  out.environment["LONGHAUL_IO_FAULTS"] = plan;
  return out;
}

/// `train` on the configuration of a tiny run, in the run folder `name`.
inline std::vector<std::string> train_arguments(const TinyRun& run, const std::string& name,
                                                const std::vector<std::string>& more = {}) {
  put(run.folder / "tiny.yaml", run.yaml);
  std::vector<std::string> out = {"train", (run.folder / "tiny.yaml").string(), "--run", (run.folder / name).string()};
  for (const std::string& change : run.overrides) out.insert(out.end(), {"--set", change});
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

}  // namespace longhaul::train
