#include "framework/base/units.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace longhaul::units {
namespace {

struct Scale {
  std::string_view suffix;
  double factor;
};

constexpr std::array<Scale, 4> kCountScales = {{{"T", 1e12}, {"G", 1e9}, {"M", 1e6}, {"k", 1e3}}};
constexpr std::array<Scale, 4> kBinaryScales = {
    {{"TiB", 1099511627776.0}, {"GiB", 1073741824.0}, {"MiB", 1048576.0}, {"KiB", 1024.0}}};
constexpr std::array<Scale, 5> kDecimalByteScales = {
    {{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"KB", 1e3}}};
constexpr std::array<Scale, 4> kTimeScales = {{{"d", 86400.0}, {"h", 3600.0}, {"m", 60.0}, {"s", 1.0}}};
constexpr double kLargestWhole = 9007199254740992.0;  // 2^53: beyond it a double skips whole numbers

bool digit(char c) { return c >= '0' && c <= '9'; }

// Splits "12.5GiB" into "12.5" and "GiB". The number has no exponent, so that "2e" is two epochs.
std::pair<std::string_view, std::string_view> split_number(std::string_view text) {
  size_t end = 0;
  while (end < text.size() && (digit(text[end]) || text[end] == '.')) ++end;
  return {text.substr(0, end), text.substr(end)};
}

std::optional<double> plain_decimal(std::string_view text) {
  if (text.empty() || !digit(text.front()) || !digit(text.back())) return std::nullopt;
  if (text.size() > 1 && text[0] == '0' && text[1] != '.') return std::nullopt;
  return parse_number(text);
}

std::optional<int64_t> whole(double value) {
  if (!(value <= kLargestWhole) || value != std::floor(value)) return std::nullopt;
  return static_cast<int64_t>(value);
}

// The shortest decimal without exponent that parses back to the same bits.
std::string plain(double value) {
  char buffer[400];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof(buffer), value, std::chars_format::fixed);
  return std::string(buffer, end);
}

template <size_t N>
std::optional<double> factor_of(const std::array<Scale, N>& scales, std::string_view suffix) {
  for (const Scale& scale : scales) {
    if (scale.suffix == suffix) return scale.factor;
  }
  return std::nullopt;
}

}  // namespace

std::optional<int64_t> parse_integer(std::string_view text) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> parse_number(std::string_view text) {
  for (const char c : text) {  // from_chars would take "inf" and "nan"
    if (!digit(c) && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E') return std::nullopt;
  }
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.size() > 1 && digits[0] == '0' && digit(digits[1])) return std::nullopt;
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || !std::isfinite(value))
    return std::nullopt;
  return value;
}

std::string format_number(double value) { return fmt::format("{}", value); }

std::optional<int64_t> parse_bytes(std::string_view text) {
  const auto [number, suffix] = split_number(text);
  const auto value = plain_decimal(number);
  if (!value) return std::nullopt;
  if (suffix.empty() || suffix == "B") return whole(*value);
  auto factor = factor_of(kBinaryScales, suffix);
  if (!factor) factor = factor_of(kDecimalByteScales, suffix);
  if (!factor) return std::nullopt;
  return whole(std::round(*value * *factor));
}

std::string format_bytes(int64_t bytes) {
  for (const Scale& scale : kBinaryScales) {
    const auto factor = static_cast<int64_t>(scale.factor);
    if (bytes != 0 && bytes % factor == 0) return fmt::format("{}{}", bytes / factor, scale.suffix);
  }
  return fmt::format("{}B", bytes);
}

std::string approximate_bytes(double bytes) {
  for (const Scale& scale : kBinaryScales) {
    const double amount = bytes / scale.factor;
    if (amount >= 0.9995)
      return fmt::format("{:.{}f}{}", amount, amount < 9.995 ? 2 : amount < 99.95 ? 1 : 0, scale.suffix);
  }
  return fmt::format("{:.0f}B", bytes);
}

std::optional<int64_t> parse_count(std::string_view text) {
  const auto [number, suffix] = split_number(text);
  if (suffix.empty()) {
    const auto value = parse_integer(number);
    return value;
  }
  const auto value = plain_decimal(number);
  const auto factor = factor_of(kCountScales, suffix);
  if (!value || !factor) return std::nullopt;
  // 1.1 * 1e6 is not exactly whole in binary; the nearest whole number is meant when it is that close.
  const double product = *value * *factor;
  const double nearest = std::round(product);
  if (std::abs(product - nearest) > 1e-9 * std::abs(product)) return std::nullopt;
  return whole(nearest);
}

std::string format_count(int64_t count) {
  for (const Scale& scale : kCountScales) {
    const auto factor = static_cast<int64_t>(scale.factor);
    if (count != 0 && count % factor == 0) return fmt::format("{}{}", count / factor, scale.suffix);
  }
  return fmt::format("{}", count);
}

std::optional<double> parse_duration(std::string_view text) {
  if (text == "0") return 0.0;
  const auto [number, suffix] = split_number(text);
  const auto value = plain_decimal(number);
  const auto factor = factor_of(kTimeScales, suffix);
  if (!value || !factor) return std::nullopt;
  return *value * *factor;
}

std::string format_duration(double seconds) {
  for (const Scale& scale : kTimeScales) {
    const double amount = seconds / scale.factor;
    if (seconds != 0 && scale.factor > 1 && amount == std::floor(amount) && amount * scale.factor == seconds) {
      return fmt::format("{:.0f}{}", amount, scale.suffix);
    }
  }
  return seconds == 0 ? "0" : plain(seconds) + "s";
}

std::optional<PercentRange> parse_percent_range(std::string_view text) {
  const size_t dots = text.find("%..");
  if (dots == std::string_view::npos || !text.ends_with('%') || text.size() < dots + 4) return std::nullopt;
  const auto from = plain_decimal(text.substr(0, dots));
  const auto to = plain_decimal(text.substr(dots + 3, text.size() - dots - 4));
  if (!from || !to || !(*from < *to) || *to > 100) return std::nullopt;
  return PercentRange{*from, *to};
}

std::string format_percent_range(const PercentRange& range) {
  return plain(range.from) + "%.." + plain(range.to) + "%";
}

double Period::measure(const Progress& progress) const {
  switch (unit) {
    case Unit::kStep:
      return static_cast<double>(progress.steps);
    case Unit::kToken:
      return static_cast<double>(progress.tokens);
    case Unit::kEpoch:
      return progress.epochs;
    case Unit::kSecond:
      return progress.seconds;
  }
  return 0;
}

bool Period::due(const Progress& last, const Progress& now) const {
  if (off()) return false;
  return std::floor(measure(now) / amount) > std::floor(measure(last) / amount);
}

std::optional<Period> parse_period(std::string_view text) {
  const auto [number, suffix] = split_number(text);
  const auto value = plain_decimal(number);
  if (!value) return std::nullopt;
  if (*value == 0 && suffix.empty()) return Period{};
  const auto counted = [&](std::string_view scale, Period::Unit unit) -> std::optional<Period> {
    const auto count = parse_count(std::string(number) + std::string(scale));
    if (!count) return std::nullopt;
    return Period{static_cast<double>(*count), unit};
  };
  for (const std::string_view name : {"steps", "step"}) {
    if (suffix.ends_with(name)) return counted(suffix.substr(0, suffix.size() - name.size()), Period::Unit::kStep);
  }
  for (const std::string_view name : {"tokens", "token", "tok"}) {
    if (suffix.ends_with(name)) return counted(suffix.substr(0, suffix.size() - name.size()), Period::Unit::kToken);
  }
  if (suffix.empty()) return counted("", Period::Unit::kStep);
  if (suffix == "e") return Period{*value, Period::Unit::kEpoch};
  const auto factor = factor_of(kTimeScales, suffix);
  if (!factor) return std::nullopt;
  return Period{*value * *factor, Period::Unit::kSecond};
}

std::string format_period(const Period& period) {
  if (period.off()) return "0";
  switch (period.unit) {
    case Period::Unit::kStep:
      return fmt::format("{:.0f}", period.amount);
    case Period::Unit::kToken:
      return format_count(static_cast<int64_t>(period.amount)) + "tok";
    case Period::Unit::kEpoch:
      return plain(period.amount) + "e";
    case Period::Unit::kSecond:
      return format_duration(period.amount);
  }
  return "0";
}

}  // namespace longhaul::units
