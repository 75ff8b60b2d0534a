#include "train/observe/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace longhaul::train {

void Profile::record(std::string_view kernel, Clock::time_point begin, Clock::time_point end, double work) {
  const double seconds = std::chrono::duration<double>(end - begin).count();
  const std::lock_guard lock(mutex_);
  events_.push_back({kernel, std::chrono::duration<double>(begin - start_).count(), seconds});
  Total& total = totals_[kernel];
  ++total.calls;
  total.seconds += seconds;
  total.work += work;
}

std::string Profile::table() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string_view, Total>> rows(totals_.begin(), totals_.end());
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  double all = 0;
  for (const auto& [name, total] : rows) all += total.seconds;
  std::string out = fmt::format("{:<28}{:>8}{:>12}{:>9}{:>10}", "kernel", "calls", "seconds", "share", "GF/s");
  for (const auto& [name, total] : rows) {
    const std::string rate =
        total.work > 0 && total.seconds > 0 ? fmt::format("{:.1f}", total.work / total.seconds * 1e-9) : "";
    out += fmt::format("\n{:<28}{:>8}{:>12.4f}{:>7.1f} %{:>10}", name, total.calls, total.seconds,
                       all > 0 ? 100 * total.seconds / all : 0, rate);
  }
  return out + fmt::format("\n{:<28}{:>8}{:>12.4f}", "all kernels", events_.size(), all);
}

void Profile::write_trace(const io::Path& file) const {
  const std::lock_guard lock(mutex_);
  std::string json = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[";
  for (size_t i = 0; i < events_.size(); ++i) {
    const Event& event = events_[i];
    fmt::format_to(std::back_inserter(json),
                   "{}\n{{\"name\":\"{}\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":{:.3f},\"dur\":{:.3f}}}",
                   i ? "," : "", event.kernel, event.begin * 1e6, event.seconds * 1e6);
  }
  io::replace_file(file, json + "\n]}\n");
}

}  // namespace longhaul::train
