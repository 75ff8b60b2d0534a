#include "train/commands/check.h"

#include <chrono>
#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "train/check/checks.h"
#include "train/commands/device.h"

namespace longhaul::cli {

int run_check(const CheckOptions& options, Console& console) {
  const Device device = prepare_device(options.device);
  nlohmann::ordered_json lines = nlohmann::ordered_json::array();
  bool good = true;
  for (const train::SelfCheck& one : train::self_checks()) {
    const auto start = std::chrono::steady_clock::now();
    train::CheckOutcome outcome;
    try {
      outcome = one.run(device);
    } catch (const std::exception& error) {
      outcome = {.passed = false, .detail = error.what()};
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    good = good && outcome.passed;
    if (options.json) {
      lines.push_back(
          {{"name", one.name}, {"passed", outcome.passed}, {"detail", outcome.detail}, {"seconds", seconds}});
    } else {
      console.result(fmt::format("{:<30} {:<5} {:>6.2f} s  {}", one.name, outcome.passed ? "ok" : "FAIL", seconds,
                                 outcome.detail));
    }
  }
  if (options.json) {
    nlohmann::ordered_json json;
    json["device"] = name_of(device);
    json["threads"] = thread_count();
    json["passed"] = good;
    json["checks"] = std::move(lines);
    console.result(json.dump());
  }
  return good ? 0 : 1;
}

}  // namespace longhaul::cli
