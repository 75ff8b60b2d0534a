// defines: edit_distance, nearest
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::config {

/// Insertions, deletions, replacements and swaps of neighbours that lead from one word to the other.
size_t edit_distance(std::string_view a, std::string_view b);

/// The name nearest to `word`, or "" when none is near: at most a third of the longer one's letters differ (one for
/// names of up to five). Case does not count, and neither does - for _. Ties go to the name that shares the longer
/// start.
std::string nearest(std::string_view word, const std::vector<std::string>& names);

}  // namespace longhaul::config
