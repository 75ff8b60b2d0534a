#include "train/commands/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/dataset.h"
#include "framework/base/error.h"
#include "train/config/catalogue.h"
#include "train/config/flatten.h"
#include "train/config/load.h"

namespace longhaul::cli {
namespace {

using Json = nlohmann::ordered_json;

int show(const ConfigOptions& options, Console& console) {
  const config::Loaded loaded = config::load_config(options.config, options.set);
  const std::vector<config::FlatValue> values = config::flatten(loaded.config);
  if (options.json) {
    Json out = Json::object();
    for (const config::FlatValue& value : values) {
      out[value.key] = {{"value", value.value}, {"origin", loaded.origin(value.key)}};
    }
    console.result(out.dump(2));
    return 0;
  }
  if (!options.origin) {
    std::string yaml = config::resolved_yaml(loaded.config);
    yaml.pop_back();  // result() ends the line
    console.result(yaml);
    return 0;
  }
  constexpr size_t kWidest = 40;  // a longer value pushes its own origin only
  size_t keys = 0, texts = 0;
  for (const config::FlatValue& value : values) {
    keys = std::max(keys, value.key.size());
    if (value.value.size() <= kWidest) texts = std::max(texts, value.value.size());
  }
  std::string out;
  for (const config::FlatValue& value : values) {
    const std::string shown = value.value.empty() ? "-" : value.value;
    out += fmt::format("{:<{}}  {:<{}}  {}\n", value.key, keys, shown, texts, loaded.origin(value.key));
  }
  out.pop_back();
  console.result(out);
  return 0;
}

// Opens every file of the splits far enough to know that it is there and readable.
Json check_files(const config::Config& config) {
  Json splits = Json::object();
  const std::pair<const char*, const std::vector<data::DataEntry>*> all[] = {
      {"train", &config.data.train}, {"valid", &config.data.valid}, {"test", &config.data.test}};
  for (const auto& [name, entries] : all) {
    if (entries->empty()) continue;
    int64_t files = 0, bytes = 0;
    for (const data::FileMark& mark : data::mark_files(*entries)) {
      ++files;
      bytes += mark.size;
    }
    splits[name] = {{"files", files}, {"bytes", bytes}};
  }
  if (!config.data.tokenizer.path.empty()) {
    const auto tokenizer = data::load_tokenizer(config.data.tokenizer);
    splits["tokenizer"] = {{"ids", tokenizer->vocabulary_size()}};
  }
  return splits;
}

int check_only(const ConfigOptions& options, Console& console) {
  const config::Loaded loaded = config::load_config(options.config, options.set);
  Json out = {{"config", options.config}, {"files", loaded.files}, {"keys", loaded.origins.size()}};
  if (options.data) out["data"] = check_files(loaded.config);
  if (options.json) {
    console.result(out.dump(2));
    return 0;
  }
  console.result(fmt::format("{}: sound ({} file{}, {} override{})", options.config, loaded.files.size(),
                             loaded.files.size() == 1 ? "" : "s", options.set.size(),
                             options.set.size() == 1 ? "" : "s"));
  if (options.data) {
    for (const auto& [name, facts] : out["data"].items()) {
      if (name == "tokenizer") {
        console.result(fmt::format("  data.tokenizer  {} ids", facts["ids"].get<int64_t>()));
      } else {
        console.result(fmt::format("  data.{:<9}  {} file{}, {}", name, facts["files"].get<int64_t>(),
                                   facts["files"].get<int64_t>() == 1 ? "" : "s",
                                   units::approximate_bytes(facts["bytes"].get<double>())));
      }
    }
  }
  return 0;
}

int explain(const ConfigOptions& options, Console& console) {
  std::string text = options.key.empty() ? config::reference_page() : config::explain_key(options.key);
  text.pop_back();
  console.result(text);
  return 0;
}

}  // namespace

int run_config(const ConfigOptions& options, Console& console) {
  switch (options.action) {
    case ConfigOptions::Action::kShow:
      return show(options, console);
    case ConfigOptions::Action::kCheck:
      return check_only(options, console);
    case ConfigOptions::Action::kExplain:
      return explain(options, console);
    case ConfigOptions::Action::kSchema:
      console.result(config::json_schema());
      return 0;
  }
  return 0;
}

}  // namespace longhaul::cli
