#include "train/observe/summary.h"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "framework/base/units.h"
#include "train/observe/format.h"

namespace longhaul::train {
namespace {

nlohmann::ordered_json known(double value) {
  if (std::isfinite(value)) return value;
  return nullptr;
}

}  // namespace

std::string summary_text(const RunSummary& s) {
  std::vector<std::pair<const char*, std::string>> rows;
  const auto figure = [&rows](const char* name, double value, const char* unit) {
    if (std::isfinite(value)) rows.emplace_back(name, fmt::format("{:.4f}{}", value, unit));
  };
  rows.emplace_back("status", s.status);
  rows.emplace_back("steps", fmt::format("{}", s.steps));
  rows.emplace_back("tokens", short_count(static_cast<double>(s.tokens)));
  rows.emplace_back("time", short_duration(s.seconds));
  figure("training loss", s.train_loss, " nats/token");
  figure("validation loss", s.valid_loss, " nats/token");
  figure("validation perplexity", s.valid_perplexity, " per token");
  figure("bits per byte", s.bits_per_byte, "");
  figure("test loss", s.test_loss, " nats/token");
  figure("test perplexity", s.test_perplexity, " per token");
  figure("test bits per byte", s.test_bits_per_byte, "");
  figure("accuracy", s.accuracy, "");
  figure("exact", s.exact, "");
  figure("f1", s.f1, "");
  rows.emplace_back("speed", grouped(s.tokens_per_second) + " tokens/s");
  rows.emplace_back("peak memory", units::approximate_bytes(static_cast<double>(s.peak_memory_bytes)));
  rows.emplace_back("run", s.run);
  std::string text;
  for (const auto& [name, value] : rows) text += fmt::format("{}{:<23}{}", text.empty() ? "" : "\n", name, value);
  return text;
}

std::string summary_json(const RunSummary& s) {
  nlohmann::ordered_json json;
  json["steps"] = s.steps;
  json["tokens"] = s.tokens;
  json["seconds"] = known(s.seconds);
  json["train_loss"] = known(s.train_loss);
  json["valid_loss"] = known(s.valid_loss);
  json["valid_perplexity"] = known(s.valid_perplexity);
  json["bits_per_byte"] = known(s.bits_per_byte);
  json["test_loss"] = known(s.test_loss);
  json["test_perplexity"] = known(s.test_perplexity);
  json["test_bits_per_byte"] = known(s.test_bits_per_byte);
  if (std::isfinite(s.accuracy)) json["accuracy"] = s.accuracy;
  if (std::isfinite(s.exact)) json["exact"] = s.exact;
  if (std::isfinite(s.f1)) json["f1"] = s.f1;
  json["tokens_per_second"] = known(s.tokens_per_second);
  json["peak_memory_bytes"] = s.peak_memory_bytes;
  json["run"] = s.run;
  json["status"] = s.status;
  return json.dump();
}

}  // namespace longhaul::train
