// defines: Profile
#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "framework/base/io.h"
#include "framework/kernels/kernel.h"

namespace longhaul::train {

/// Time and work of every kernel call while it is installed (`train --profile K`).
class Profile final : public kernels::KernelTimer {
 public:
  Profile() : start_(Clock::now()) {}
  void record(std::string_view kernel, Clock::time_point begin, Clock::time_point end, double work) override;

  /// One line a kernel, the most expensive first: calls, seconds, share of the time in kernels, GF/s where the work is
  /// known.
  std::string table() const;
  /// Every call as a complete event of the Chrome trace format, in microseconds since the profile was made. throws
  /// IoError
  void write_trace(const io::Path& file) const;

 private:
  struct Event {
    std::string_view kernel;  // kernel names are literals of the table
    double begin = 0, seconds = 0;
  };
  struct Total {
    int64_t calls = 0;
    double seconds = 0, work = 0;
  };
  Clock::time_point start_;
  mutable std::mutex mutex_;
  std::vector<Event> events_;
  std::map<std::string_view, Total> totals_;
};

}  // namespace longhaul::train
