#include "framework/checkpoint/run_lock.h"

#include <fmt/chrono.h>
#include <unistd.h>

#include <array>
#include <ctime>

#include "framework/base/error.h"

namespace longhaul::checkpoint {

RunLock::RunLock(const io::Path& run) {
  const io::Path path = run / "lock";
  file_ = io::File::open_or_create(path);
  if (!file_.try_lock()) {
    std::string holder = io::read_file(path, 4096);
    while (!holder.empty() && holder.back() == '\n') holder.pop_back();
    // Between taking the lock and writing its name the holder is unknown for a moment.
    if (holder.empty()) holder = "another process";
    fail("[run] {} is in use by {}\n  hint: wait until it has ended, stop it, or choose another folder with --run",
         run.string(), holder);
  }
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  file_.truncate(0);
  file_.write(fmt::format("process {} on host {}, started {:%Y-%m-%dT%H:%M:%SZ}\n", ::getpid(), host.data(),
                          fmt::gmtime(std::time(nullptr))));
}

}  // namespace longhaul::checkpoint
