#include "train/config/suggest.h"

#include <algorithm>

namespace longhaul::config {
namespace {

std::string plain(std::string_view word) {
  std::string out;
  for (const char c : word) out += c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

size_t common_start(std::string_view a, std::string_view b) {
  size_t n = 0;
  while (n < a.size() && n < b.size() && a[n] == b[n]) ++n;
  return n;
}

}  // namespace

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(now);
  }
  return last[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& names) {
  constexpr size_t kLongest = 100;  // a longer word is no slip of a key
  if (word.size() > kLongest) return "";
  const std::string wanted = plain(word);
  std::string best;
  size_t best_distance = 0, best_start = 0;
  for (const std::string& name : names) {
    const std::string candidate = plain(name);
    const size_t longer = std::max(candidate.size(), wanted.size());
    const size_t allowed = std::max<size_t>(1, longer / 3);
    const size_t distance = edit_distance(wanted, candidate);
    if (distance > allowed || distance >= candidate.size()) continue;
    const size_t start = common_start(wanted, candidate);
    if (best.empty() || distance < best_distance || (distance == best_distance && start > best_start)) {
      best = name;
      best_distance = distance;
      best_start = start;
    }
  }
  return best;
}

}  // namespace longhaul::config
