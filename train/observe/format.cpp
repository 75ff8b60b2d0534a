#include "train/observe/format.h"

#include <fmt/core.h>

#include <cmath>

namespace longhaul::train {

std::string grouped(double value) {
  if (!std::isfinite(value)) return "?";
  const double size = std::abs(value);
  if (size < 9.995) return fmt::format("{:.2f}", value);
  if (size < 99.95) return fmt::format("{:.1f}", value);
  std::string digits = fmt::format("{:.0f}", size);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<size_t>(at), 1, ',');
  return value < 0 ? "-" + digits : digits;
}

std::string short_count(double value) {
  static constexpr const char* kUnits[] = {"", "K", "M", "G", "T"};
  int unit = 0;
  while (std::abs(value) >= 999.95 && unit < 4) value /= 1000, ++unit;
  return unit == 0 ? fmt::format("{:.0f}", value)
                   : fmt::format("{:.{}f}{}", value, value < 9.995 ? 2 : 1, kUnits[unit]);
}

std::string short_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{}s", whole);
  if (whole < 3600) return fmt::format("{}m{:02}s", whole / 60, whole % 60);
  if (whole < 86400) return fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
  return fmt::format("{}d{:02}h", whole / 86400, whole % 86400 / 3600);
}

}  // namespace longhaul::train
