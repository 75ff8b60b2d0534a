#include "tests/hostile/mutation.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <vector>

#include "framework/base/error.h"
#include "tests/support/tier.h"

namespace longhaul::hostile {
namespace {

constexpr double kSecondsOfACase = 5;
constexpr int64_t kGrowth = int64_t{1} << 30;

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

int64_t most_resident() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  return used.ru_maxrss * 1024;
}

// What a fatal signal prints: set for each case.
std::array<char, 160> last_words{};

extern "C" void print_last_words(int number) {
  [[maybe_unused]] const ssize_t ignored = ::write(STDERR_FILENO, last_words.data(), std::strlen(last_words.data()));
  ::signal(number, SIG_DFL);
  ::raise(number);
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// [begin, end) of the stretches of digits, or of what stands between quotation marks.
std::vector<std::pair<size_t, size_t>> stretches(const std::string& s, bool numbers) {
  std::vector<std::pair<size_t, size_t>> out;
  for (size_t at = 0; at < s.size();) {
    if (numbers && is_digit(s[at])) {
      size_t end = at;
      while (end < s.size() && is_digit(s[end])) ++end;
      out.emplace_back(at, end);
      at = end;
    } else if (!numbers && s[at] == '"') {
      const size_t end = s.find('"', at + 1);
      if (end == std::string::npos) break;
      out.emplace_back(at + 1, end);
      at = end + 1;
    } else {
      ++at;
    }
  }
  return out;
}

}  // namespace

void Mutator::change_bytes(std::string& s) {
  if (s.empty()) {
    s.push_back(static_cast<char>(below(256)));
    return;
  }
  const size_t at = below(s.size()), length = 1 + below(std::min<uint64_t>(16, s.size() - at));
  switch (below(8)) {
    case 0:
      s[at] = static_cast<char>(s[at] ^ (1 << below(8)));
      break;
    case 1:
      s[at] = static_cast<char>(below(256));
      break;
    case 2:
      s.erase(at, length);
      break;
    case 3:
      s.insert(below(s.size() + 1), s.substr(at, length));
      break;
    case 4:
      s.resize(at);
      break;
    case 5:
      s.replace(at, length, std::string(length, below(2) == 0 ? '\0' : '\xff'));
      break;
    case 6:
      s.append(below(64), static_cast<char>(below(256)));
      break;
    default: {  // the same bytes in another place
      const std::string moved = s.substr(at, length);
      s.erase(at, length);
      s.insert(below(s.size() + 1), moved);
    }
  }
}

std::string Mutator::number() {
  constexpr std::array<const char*, 20> kNumbers = {
      "0",          "-1",         "1",          "255",        "256",
      "65536",      "2147483647", "2147483648", "4294967295", "4294967296",
      "9007199254740993", "4611686018427387904", "9223372036854775807", "9223372036854775808", "18446744073709551615",
      "18446744073709551616", "1e308", "1e999", "-0.0", "0.5"};
  return kNumbers[below(kNumbers.size())];
}

std::string Mutator::name() {
  switch (below(8)) {
    case 0:
      return "";
    case 1:
      return "../x";
    case 2:
      return "/etc/passwd";
    case 3:
      return "\\u0000";
    case 4:
      return "\xff\xfe";
    case 5:
      return "\\ud800";
    case 6:
      return std::string(1 << (8 + below(13)), 'n');
    default:
      return "F64";
  }
}

void Mutator::change_structure(std::string& s) {
  const auto numbers = stretches(s, true), names = stretches(s, false);
  const auto pick = [&](const auto& from) { return from[below(from.size())]; };
  switch (below(9)) {
    case 0:
    case 1:
      if (numbers.empty()) break;
      {
        const auto [begin, end] = pick(numbers);
        s.replace(begin, end - begin, number());
      }
      return;
    case 2:  // a number as it stands elsewhere
      if (numbers.empty()) break;
      {
        const auto [from, to] = pick(numbers);
        const std::string other = s.substr(from, to - from);
        const auto [begin, end] = pick(numbers);
        s.replace(begin, end - begin, other);
      }
      return;
    case 3:
      if (names.empty()) break;
      {
        const auto [begin, end] = pick(names);
        s.replace(begin, end - begin, name());
      }
      return;
    case 4:  // a name as it stands elsewhere
      if (names.empty()) break;
      {
        const auto [from, to] = pick(names);
        const std::string other = s.substr(from, to - from);
        const auto [begin, end] = pick(names);
        s.replace(begin, end - begin, other);
      }
      return;
    case 5: {  // an element twice, or gone
      const size_t from = s.find_first_of("{[,", below(s.size() + 1)), to = s.find_first_of(",}]", from + 1);
      if (from == std::string::npos || to == std::string::npos) break;
      const std::string element = s.substr(from, to - from);
      if (below(2) == 0)
        s.erase(from, to - from);
      else
        s.insert(to, element);
      return;
    }
    case 6: {
      const size_t depth = 1 + below(below(8) == 0 ? 20000 : 100);
      std::string opened;
      for (size_t i = 0; i < depth; ++i) opened += below(2) == 0 ? "[" : "{\"a\":";
      s.insert(below(s.size() + 1), opened);
      return;
    }
    case 7:  // a value of another type
      if (const size_t colon = s.find(':', below(s.size() + 1)); colon != std::string::npos) {
        constexpr std::array<const char*, 7> kValues = {"null", "true", "[]", "{}", "\"\"", "\"x\"", "1.5"};
        const size_t end = std::min(s.find_first_of(",}\n", colon), s.size());
        s.replace(colon + 1, end - colon - 1, kValues[below(kValues.size())]);
        return;
      }
      break;
    default:
      break;
  }
  change_bytes(s);
}

std::string Mutator::bytes(std::string sound) {
  for (uint64_t n = 1 + below(4); n > 0; --n) change_bytes(sound);
  return sound;
}

std::string Mutator::text(std::string sound) {
  for (uint64_t n = 1 + below(3); n > 0; --n) {
    if (below(4) == 0)
      change_bytes(sound);
    else
      change_structure(sound);
  }
  return sound;
}

std::string Mutator::fields(std::string sound, size_t from, size_t to) {
  to = std::min(to, sound.size());
  constexpr std::array<uint64_t, 12> kValues = {0,          1,          7,          uint64_t{1} << 16,
                                                uint64_t{1} << 31, uint64_t{1} << 32, uint64_t{1} << 40,
                                                uint64_t{1} << 61, uint64_t{1} << 63, ~uint64_t{0},
                                                ~uint64_t{7},      ~uint64_t{0} >> 1};
  for (uint64_t n = 1 + below(3); n > 0; --n) {
    const size_t width = size_t{1} << below(4);
    if (to < from + width) break;
    const size_t at = from + below((to - from) / width) * width;
    uint64_t value = 0;
    std::memcpy(&value, sound.data() + at, width);
    value = below(3) == 0 ? value + below(17) - 8 : kValues[below(kValues.size())] + below(3) - 1;
    std::memcpy(sound.data() + at, &value, width);
  }
  return sound;
}

void attack(const char* target, int often, const std::function<void(Mutator&)>& attempt) {
  for (const int number : {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL}) ::signal(number, print_last_words);
  const int64_t cases = static_cast<int64_t>(often) * (longhaul::testing::nightly() ? 200 : 1);
  const int64_t before = most_resident();
  double slowest = 0;
  for (int64_t seed = 1; seed <= cases && !::testing::Test::HasFailure(); ++seed) {
    std::snprintf(last_words.data(), last_words.size(), "hostile: %s, seed %lld\n", target, static_cast<long long>(seed));
    Mutator mutator(static_cast<uint64_t>(seed));
    const double begin = thread_seconds();
    try {
      attempt(mutator);
    } catch (const std::exception& error) {
      ADD_FAILURE() << target << ", seed " << seed << ": " << error.what();
    }
    const double spent = thread_seconds() - begin;
    slowest = std::max(slowest, spent);
    EXPECT_LT(spent, kSecondsOfACase) << target << ", seed " << seed;
  }
  EXPECT_LT(most_resident() - before, kGrowth) << target;
  ::testing::Test::RecordProperty(std::string(target) + "_slowest_milliseconds", static_cast<int>(1000 * slowest));
  for (const int number : {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL}) ::signal(number, SIG_DFL);
}

}  // namespace longhaul::hostile
