#include "models/exchange/model_yaml.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/base/fields_yaml.h"

namespace longhaul::models::exchange {

std::string model_yaml(const std::string& family, const FamilyOptions& options, const std::string& objective, int64_t sequence_length, const std::vector<std::string>& labels) {
  const FamilyInfo* info = find_family(family);
  check<InternalError>(info != nullptr, "the model of an unknown family {} is written", family);
  const auto copy = info->copy(options);  // a visitor may write; this one only reads
  const std::string classes = labels.empty() ? "" : fmt::format("  labels: {}\n", nlohmann::json(labels).dump());  // YAML reads lists of JSON
  return fmt::format("# Made by longhaul import.\ndata:\n  objective: {}\n  sequence_length: {}\n{}model:\n  family: {}\n", objective, sequence_length, classes, family) +
         yaml_of([&](FieldVisitor& v) { info->fields(v, *copy); }, 2);
}

}  // namespace longhaul::models::exchange
