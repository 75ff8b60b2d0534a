#include "framework/base/io_calls.h"

#include <sys/statvfs.h>

#include <cstring>
#include <utility>

#include "framework/base/error.h"

namespace longhaul::io::calls {
namespace {

std::string hint_for(int code, const Path& path) {
  const std::string folder = parent_of(path).string();
  switch (code) {
    case ENOSPC:
      return fmt::format("\n  hint: free space on the file system of {}", folder);
    case EDQUOT:
      return fmt::format("\n  hint: free space within the quota of the file system of {}", folder);
    case EACCES:
    case EPERM:
      return fmt::format("\n  hint: check owner and permissions of it and of {}", folder);
    case EROFS:
      return fmt::format("\n  hint: the file system of {} is mounted read-only; choose another folder", folder);
    case EIO:
      return "\n  hint: the device reports an error; the kernel's log (dmesg) may say more";
    case EMFILE:
      return "\n  hint: raise the limit of open files (ulimit -n)";
    default:
      return "";
  }
}

}  // namespace

void raise(const char* doing, const Path& path, int code, size_t needed, const Path& target) {
  const char* name = strerrorname_np(code);
  const char* reason = strerrordesc_np(code);
  std::string text =
      fmt::format("[io] cannot {} {}{}: {} ({})", doing, path.string(), target.empty() ? "" : " to " + target.string(),
                  reason ? reason : "unknown error", name ? name : std::to_string(code).c_str());
  if (code == ENOSPC || code == EDQUOT) {
    struct statvfs fs {};
    const bool known = ::statvfs(parent_of(path).c_str(), &fs) == 0;
    const uint64_t free = known ? static_cast<uint64_t>(fs.f_bavail) * fs.f_frsize : 0;
    text += fmt::format("\n  needed {} bytes, free {} bytes", needed,
                        known ? std::to_string(free) : "an unknown number of");
  }
  throw IoError(text + hint_for(code, path), code);
}

void record(Operation operation, const Path& path, int error, Event event) {
  if (!faults::recording()) return;
  event.operation = operation;
  event.path = path.string();
  event.error = error;
  faults::leave(std::move(event));
}

}  // namespace longhaul::io::calls
