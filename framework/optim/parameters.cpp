#include "framework/optim/parameters.h"

namespace longhaul::optim {

bool matches(std::string_view name, std::string_view pattern) {
  // Only the last `*` ever has to be widened, so the time is bounded by the product of the two lengths.
  size_t n = 0, p = 0, resume_name = 0, resume_pattern = std::string_view::npos;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      resume_pattern = ++p;
      resume_name = n;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
      ++n, ++p;
    } else if (resume_pattern != std::string_view::npos) {
      n = ++resume_name;
      p = resume_pattern;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

bool matches_any(std::string_view name, const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    if (matches(name, pattern)) return true;
  }
  return false;
}

}  // namespace longhaul::optim
