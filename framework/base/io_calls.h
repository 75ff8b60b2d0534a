// defines: io::calls::attempt, carry_out, raise, record: how io*.cpp call the system
#pragma once
#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "framework/base/io.h"
#include "framework/base/io_faults.h"

namespace longhaul::io::calls {

// A call that is interrupted this often in a row is not being interrupted by signals.
constexpr int kMostInterrupts = 1000;
// Linux transfers at most 0x7ffff000 bytes a call.
constexpr size_t kMostBytes = size_t{1} << 30;

/// Throws the IoError of a failed operation; `needed` is printed for a full disk.
[[noreturn]] void raise(const char* doing, const Path& path, int code, size_t needed = 0, const Path& target = {});

/// Hands a finished operation to the recorder, if there is one.
void record(Operation operation, const Path& path, int error, Event event = {});

// Runs one system call behind the hook until it is not interrupted; -1 with errno set on failure, and 0 or more else.
template <typename Call>
auto attempt(Operation operation, const Path& path, size_t bytes, Call&& call) -> decltype(call(bytes)) {
  for (int interrupts = 0;;) {
    const faults::Verdict verdict = faults::enter(operation, path.native(), bytes);
    decltype(call(bytes)) result = -1;
    if (verdict.error != 0)
      errno = verdict.error;
    else
      result = call(verdict.bytes);
    const int code = errno;
    if (verdict.kill_after) faults::kill_process();
    errno = code;
    if (result >= 0 || code != EINTR || ++interrupts == kMostInterrupts) return result;
  }
}

// As attempt, for calls whose only outcome is done or failed.
template <typename Call>
void carry_out(Operation operation, const char* doing, const Path& path, Call&& call, const Path& target = {}) {
  const int result = attempt(operation, path, 0, [&](size_t) { return call(); });
  const int code = result < 0 ? errno : 0;
  record(operation, path, code, Event{.operation = operation, .target = target.string()});
  if (code != 0) raise(doing, path, code, 0, target);
}

}  // namespace longhaul::io::calls
