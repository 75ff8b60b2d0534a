// defines: parse and format of bytes, counts, durations, percent ranges; PercentRange, Progress, Period
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace longhaul::units {

/// A whole number in decimal digits with an optional sign: "12", "-3". Refuses "012", "1_000", "0x10", "1e3", "1.0"
/// and anything that does not fit 64 bits. std::nullopt when the text is not accepted (so do all parsers here).
std::optional<int64_t> parse_integer(std::string_view text);

/// A finite decimal number: "0.1", "3e-4", ".5", "12". Refuses infinities, NaN, hexadecimal and "1_000".
std::optional<double> parse_number(std::string_view text);
/// The shortest text that parses back to the same bits.
std::string format_number(double value);

/// Bytes: "8GiB", "512MiB", "64KiB", "2TiB" (powers of 1024), "8GB", "500MB", "1kB" (powers of 1000), "4096B" or a bare
/// number of bytes. Fractions are taken ("1.5GiB") and rounded to a whole byte.
std::optional<int64_t> parse_bytes(std::string_view text);
/// The largest binary unit that divides the value exactly: "8GiB", "1536MiB", "1001B".
std::string format_bytes(int64_t bytes);
/// For people: three significant digits, "876MiB", "1.25GiB", "512B".
std::string approximate_bytes(double bytes);

/// Counts: "50M", "20k", "1.5G", "2T" (powers of 1000) or a bare whole number; the result must be whole.
std::optional<int64_t> parse_count(std::string_view text);
/// The largest unit that divides the value exactly: "50M", "1500k", "1234".
std::string format_count(int64_t count);

/// Durations in seconds: "90s", "30m", "2h", "1.5d"; a bare number is refused because its unit would be a guess, 0 is
/// not.
std::optional<double> parse_duration(std::string_view text);
/// The largest of d, h, m, s that divides the value exactly: "90m", "2h", "0.5s".
std::string format_duration(double seconds);

/// A part of a file by its bytes, [from, to) in percent: 0 <= from < to <= 100.
struct PercentRange {
  double from = 0;
  double to = 100;
  bool all() const { return from == 0 && to == 100; }
  bool operator==(const PercentRange&) const = default;
};
/// "0%..90%", "90%..100%", "12.5%..25%".
std::optional<PercentRange> parse_percent_range(std::string_view text);
std::string format_percent_range(const PercentRange& range);

/// How far a run has come, counted from its first step and kept across resumes.
struct Progress {
  int64_t steps = 0;   // finished optimizer steps (skipped ones included)
  int64_t tokens = 0;  // tokens seen over all ranks
  double epochs = 0;   // passes over the training data
  double seconds = 0;  // training time of all sessions of the run together
};

/// "500step", "50Mtok", "2e" (epochs), "90s", "30m", "2h"; a bare number counts steps; 0 is never.
struct Period {
  enum class Unit { kStep, kToken, kEpoch, kSecond };
  double amount = 0;
  Unit unit = Unit::kStep;

  bool off() const { return amount == 0; }
  /// The figure of `progress` in this period's unit.
  double measure(const Progress& progress) const;
  /// True when a multiple of the period lies in (last, now]: once a crossing, also when several are crossed, and the
  /// same after a resume because it depends on nothing but the two positions. Never true when off.
  bool due(const Progress& last, const Progress& now) const;
  bool operator==(const Period&) const = default;
};
std::optional<Period> parse_period(std::string_view text);
/// "500", "50Mtok", "2e", "30m"; parses back to an equal period.
std::string format_period(const Period& period);

}  // namespace longhaul::units

namespace longhaul {
using units::PercentRange;
using units::Period;
using units::Progress;
}  // namespace longhaul
