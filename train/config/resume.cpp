#include "train/config/resume.h"

#include <fmt/format.h>

#include <map>

#include "framework/base/error.h"
#include "train/config/flatten.h"

namespace longhaul::config {
namespace {

std::string shown(const std::string& value) { return value.empty() ? "(none)" : value; }

}  // namespace

void ResumeComparison::refuse_fixed(const std::string& run_folder) const {
  if (fixed.empty()) return;
  std::string message =
      fmt::format("[resume] {} fixed key{} differ{} from the run in {}, nothing was changed", fixed.size(),
                  fixed.size() == 1 ? "" : "s", fixed.size() == 1 ? "s" : "", run_folder);
  for (const KeyChange& change : fixed) {
    message += fmt::format("\n  {}: was {}, now {}", change.key, shown(change.old_value), shown(change.new_value));
  }
  message += "\n  hint: set them back to continue, or start a new run with another run.name or --run DIR";
  throw ConfigError(message);
}

ResumeComparison compare_for_resume(const Config& old_config, const Config& new_config) {
  ResumeComparison result;
  const std::vector<FlatValue> before = flatten(old_config), now = flatten(new_config);
  const auto add = [&](const FlatValue& value, std::string old_text, std::string new_text) {
    KeyChange change{value.key, std::move(old_text), std::move(new_text)};
    switch (value.resume) {
      case Resume::kHarmless:
        result.harmless.push_back(std::move(change));
        break;
      case Resume::kMayChange:
        result.may_change.push_back(std::move(change));
        break;
      case Resume::kFixed:
      case Resume::kInherit:
        result.fixed.push_back(std::move(change));
        break;
    }
  };
  std::map<std::string, const FlatValue*> old_values;
  for (const FlatValue& value : before) old_values[value.key] = &value;
  std::map<std::string, const FlatValue*> new_values;
  for (const FlatValue& value : now) {
    new_values[value.key] = &value;
    const auto old = old_values.find(value.key);
    if (old == old_values.end()) {
      add(value, "", value.value);
    } else if (old->second->value != value.value) {
      add(value, old->second->value, value.value);
    }
  }
  for (const FlatValue& value : before) {
    if (!new_values.contains(value.key)) add(value, value.value, "");
  }
  return result;
}

}  // namespace longhaul::config
