// defines: RunLock
#pragma once
#include "framework/base/io.h"

namespace longhaul::checkpoint {

/// Keeps a run folder to one process: an operating-system lock on RUN/lock, which ends with its process however it
/// ends, and in the file the holder's host, process id and start time. The file itself means nothing once unlocked.
class RunLock {
 public:
  /// throws FailureError naming host, process and start of the holder when another process has the folder
  explicit RunLock(const io::Path& run);
  RunLock(RunLock&&) = default;
  RunLock& operator=(RunLock&&) = default;

 private:
  io::File file_;
};

}  // namespace longhaul::checkpoint
