// defines: log::info, log::warn, log::debug, log::Options
#pragma once
#include <fmt/core.h>

#include <string>
#include <string_view>
#include <utility>

namespace longhaul::log {

enum class Level { kDebug, kInfo, kWarning };

struct Options {
  Level level = Level::kInfo;
  bool color = false;      // only ever true when standard error is a terminal
  std::string file;        // also written here, without colour; empty: standard error only
};

/// Sets up the process's logger; may be called again (a run folder adds its log.txt). Standard error is the sink.
void configure(const Options& options);

/// Writes one line; messages start with a searchable prefix in brackets: "[resume] step-00004000 verifies".
void write(Level level, std::string_view message);

template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kInfo, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kWarning, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::kDebug, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace longhaul::log
