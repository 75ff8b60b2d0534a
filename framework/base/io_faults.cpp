#include "framework/base/io_faults.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>

#include "framework/base/error.h"

namespace longhaul::io {
namespace {

constexpr std::array<std::string_view, 14> kNames = {"open",  "read",  "write", "sync", "close",   "rename",   "unlink",
                                                     "mkdir", "rmdir", "list",  "stat", "syncdir", "truncate", "lock"};

// The faults a specification may name.
constexpr std::array<int, 17> kErrors = {EIO,    ENOSPC, EDQUOT, EACCES, EROFS, EINTR,  EPERM, EMFILE, ENOENT,
                                         EEXIST, ENOMEM, EFBIG,  ESTALE, EBUSY, ENFILE, ELOOP, EAGAIN};

struct Active {
  FaultPlan plan;
  int64_t matched = 0;
  int64_t hit = 0;
};

std::mutex g_mutex;
std::optional<Active> g_active;
std::optional<std::vector<Event>> g_events;
std::atomic<bool> g_recording{false};
// Whether `enter` has anything to do: one relaxed load on the way of every operation.
enum class Watch { kUnread, kOff, kOn };
std::atomic<Watch> g_watch{Watch::kUnread};

uint64_t mixed(uint64_t x) {  // splitmix64 finaliser
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

template <typename T>
T number(std::string_view part, std::string_view value) {
  T result{};
  const auto [end, status] = std::from_chars(value.data(), value.data() + value.size(), result);
  check<ConfigError>(status == std::errc() && end == value.data() + value.size() && result >= T{0},
                     "[faults] \"{}\" is not a whole number of 0 or more", part);
  return result;
}

int error_number(std::string_view part, std::string_view name) {
  for (const int code : kErrors) {
    if (name == strerrorname_np(code)) return code;
  }
  fail<ConfigError>("[faults] unknown error name in \"{}\"\n  hint: for instance error=EIO or error=ENOSPC", part);
}

// Called with g_mutex held. The environment is read once, at the first operation of the process.
void read_environment() {
  Watch next = g_active ? Watch::kOn : Watch::kOff;
  if (const char* text = std::getenv(kFaultVariable); text != nullptr && !g_active) {
    g_active = Active{FaultPlan::parse(text)};
    next = Watch::kOn;
  }
  g_watch = next;
}

}  // namespace

std::string_view name_of(Operation operation) { return kNames.at(static_cast<size_t>(operation)); }

FaultPlan FaultPlan::parse(std::string_view text) {
  FaultPlan plan;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    const size_t equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    if (key == "at")
      plan.at = number<int64_t>(part, value);
    else if (key == "seed")
      plan.seed = number<uint64_t>(part, value);
    else if (key == "one_in")
      plan.one_in = number<int64_t>(part, value);
    else if (key == "slow")
      plan.slow_microseconds = number<int64_t>(part, value);
    else if (key == "error")
      plan.error = error_number(part, value);
    else if (key == "op")
      plan.only = value;
    else if (key == "path")
      plan.path_part = value;
    else if (part == "persistent")
      plan.persistent = true;
    else if (part == "kill")
      plan.kill = true;
    else if (part == "tear")
      plan.tear = true;
    else if (part == "short")
      plan.short_transfers = true;
    else
      fail<ConfigError>(
          "[faults] unknown part \"{}\" in a fault specification\n"
          "  hint: at=N, error=NAME, persistent, kill, tear, op=NAME, path=TEXT, seed=N, one_in=N, short, "
          "slow=MICROSECONDS",
          part);
  }
  if (!plan.only.empty()) {
    bool known = false;
    for (const std::string_view name : kNames) known |= name == plan.only;
    check<ConfigError>(known, "[faults] unknown operation \"{}\"\n  hint: one of {}", plan.only,
                       "open read write sync close rename unlink mkdir rmdir list stat syncdir truncate lock");
  }
  return plan;
}

FaultScope::FaultScope(const FaultPlan& plan) {
  const std::lock_guard guard(g_mutex);
  if (g_active) throw InternalError("two fault plans at once");
  g_active = Active{plan};
  g_watch = Watch::kOn;
}

FaultScope::~FaultScope() {
  const std::lock_guard guard(g_mutex);
  g_active.reset();
  g_watch = Watch::kOff;
}

int64_t FaultScope::count() const {
  const std::lock_guard guard(g_mutex);
  return g_active->matched;
}

int64_t FaultScope::hits() const {
  const std::lock_guard guard(g_mutex);
  return g_active->hit;
}

Recorder::Recorder() {
  const std::lock_guard guard(g_mutex);
  if (g_events) throw InternalError("two recorders at once");
  g_events.emplace();
  g_recording = true;
}

Recorder::~Recorder() {
  const std::lock_guard guard(g_mutex);
  g_events.reset();
  g_recording = false;
}

std::vector<Event> Recorder::events() const {
  const std::lock_guard guard(g_mutex);
  return *g_events;
}

namespace faults {

void kill_process() {
  ::kill(::getpid(), SIGKILL);
  for (;;) ::pause();
}

Verdict enter(Operation operation, std::string_view path, size_t bytes) {
  Verdict verdict{.bytes = bytes};
  if (g_watch.load(std::memory_order_relaxed) == Watch::kOff) [[likely]]
    return verdict;
  int64_t pause = 0;
  {
    const std::lock_guard guard(g_mutex);
    if (g_watch == Watch::kUnread) read_environment();
    if (!g_active) return verdict;
    Active& active = *g_active;
    const FaultPlan& plan = active.plan;
    if (!plan.only.empty() && plan.only != name_of(operation)) return verdict;
    if (!plan.path_part.empty() && path.find(plan.path_part) == std::string_view::npos) return verdict;
    const int64_t index = ++active.matched;
    const uint64_t random = mixed(plan.seed ^ mixed(static_cast<uint64_t>(index)));
    const bool by_index = plan.at > 0 && (index == plan.at || (plan.persistent && index > plan.at));
    const bool by_chance = plan.one_in > 0 && random % static_cast<uint64_t>(plan.one_in) == 0;
    const bool transfer = operation == Operation::kRead || operation == Operation::kWrite;
    if (by_index || by_chance) {
      if (plan.kill && !(plan.tear && operation == Operation::kWrite && bytes > 1)) kill_process();
      if (plan.kill || plan.tear) {
        verdict.kill_after = plan.kill;
        if (transfer && bytes > 1) verdict.bytes = bytes / 2;
      }
      if (plan.error != 0) {
        verdict.error = plan.error;
        ++active.hit;
      }
    }
    if (plan.short_transfers && transfer && verdict.bytes > 1) {
      verdict.bytes = 1 + mixed(random) % verdict.bytes;
    }
    pause = plan.slow_microseconds;
  }
  if (pause > 0) ::usleep(static_cast<useconds_t>(pause));
  return verdict;
}

bool recording() { return g_recording.load(std::memory_order_relaxed); }

void leave(Event event) {
  const std::lock_guard guard(g_mutex);
  if (g_events) g_events->push_back(std::move(event));
}

}  // namespace faults
}  // namespace longhaul::io
