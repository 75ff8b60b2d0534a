#include "framework/base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace longhaul::log {
namespace {

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = [] {
    auto sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(spdlog::color_mode::never);
    auto made = std::make_shared<spdlog::logger>("longhaul", sink);
    made->set_pattern("%v");
    return made;
  }();
  return instance;
}

spdlog::level::level_enum native(Level level) {
  switch (level) {
    case Level::kDebug: return spdlog::level::debug;
    case Level::kWarning: return spdlog::level::warn;
    case Level::kInfo: break;
  }
  return spdlog::level::info;
}

}  // namespace

void configure(const Options& options) {
  const auto mode = options.color ? spdlog::color_mode::always : spdlog::color_mode::never;
  auto terminal = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(mode);
  terminal->set_level(native(options.level));
  terminal->set_pattern(options.color ? "%^%v%$" : "%v");
  std::vector<spdlog::sink_ptr> sinks{terminal};
  if (!options.file.empty()) {
    auto file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file);
    file->set_pattern("%Y-%m-%dT%H:%M:%S %v");
    sinks.push_back(file);
  }
  auto made = std::make_shared<spdlog::logger>("longhaul", sinks.begin(), sinks.end());
  made->set_level(spdlog::level::debug);
  made->flush_on(spdlog::level::info);
  logger() = made;
}

void write(Level level, std::string_view message) { logger()->log(native(level), "{}", message); }

}  // namespace longhaul::log
