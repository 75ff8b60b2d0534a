// defines: grouped, short_count, short_duration
#pragma once
#include <cstdint>
#include <string>

namespace longhaul::train {

/// A rounded number with commas: 1312.4 -> "1,312"; below 100 with one decimal, below 10 with two.
std::string grouped(double value);
/// A count with three to four digits: "812", "12.3K", "262.8M", "1.02G".
std::string short_count(double value);
/// Seconds as two units at most: "42s", "3m07s", "2h10m", "3d04h"; "?" when not finite.
std::string short_duration(double seconds);

}  // namespace longhaul::train
