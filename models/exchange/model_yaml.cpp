#include "models/exchange/model_yaml.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "framework/base/error.h"
#include "framework/base/fields_yaml.h"

namespace longhaul::models::exchange {

namespace {

constexpr std::string_view kBegin = "# Made by longhaul import.\ndata:\n";

}  // namespace

std::string model_yaml(const std::string& family, const FamilyOptions& options, const ImportedData& data) {
  const FamilyInfo* info = find_family(family);
  check<InternalError>(info != nullptr, "the model of an unknown family {} is written", family);
  const auto copy = info->copy(options);  // a visitor may write; this one only reads
  std::string out = fmt::format("{}  objective: {}\n  sequence_length: {}\n", kBegin, data.objective, data.sequence_length);
  if (data.target_length > 0) out += fmt::format("  target_length: {}\n", data.target_length);
  if (!data.labels.empty()) out += fmt::format("  labels: {}\n", nlohmann::json(data.labels).dump());  // YAML reads lists of JSON
  return out + fmt::format("model:\n  family: {}\n", family) +
         yaml_of([&](FieldVisitor& v) { info->fields(v, *copy); }, 2);
}

std::string with_tokenizer(const std::string& yaml, const std::vector<std::string>& files) {
  const auto has = [&](const char* name) { return std::ranges::find(files, name) != files.end(); };
  const bool pieces = has("spiece.model") || has("sentencepiece.bpe.model") || has("tokenizer.model");
  const bool pairs = has("tokenizer.json") || (has("vocab.json") && has("merges.txt"));
  if (!pieces && !pairs) return yaml;
  check<InternalError>(yaml.starts_with(kBegin), "a configuration that model_yaml did not make");
  return fmt::format("{}  tokenizer: {{kind: {}, path: .}}\n{}", kBegin, pieces ? "sentencepiece" : "bpe", yaml.substr(kBegin.size()));
}

}  // namespace longhaul::models::exchange
