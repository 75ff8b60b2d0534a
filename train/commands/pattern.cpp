#include "train/commands/pattern.h"

#include <nlohmann/json.hpp>

#include "framework/base/error.h"
#include "framework/base/io.h"
#include "framework/pattern/audit.h"
#include "framework/pattern/picture.h"
#include "models/registry.h"
#include "train/config/load.h"

namespace longhaul::cli {
namespace {

// The options of a family with its defaults.
std::shared_ptr<const models::FamilyOptions> defaults_of(const models::FamilyInfo& family, int64_t length) {
  auto options = family.make();
  family.resolve(*options, {.sequence_length = length, .form = family.drawn});
  return options;
}

// The options of a family with those the user set: a configuration of nothing else, whose run would never be read.
std::shared_ptr<const models::FamilyOptions> options_of(const models::FamilyInfo& family,
                                                        const PatternOptions& options) {
  std::vector<std::string> all = {"model.family=" + family.name, "data.train=[none.txt]", "train.steps=1",
                                  fmt::format("data.sequence_length={}", options.length)};
  if (family.drawn == models::Form::kEncoder) all.emplace_back("data.objective=masked");
  if (family.drawn == models::Form::kEncoderDecoder) all.emplace_back("data.objective=gap_sentences");
  all.insert(all.end(), options.set.begin(), options.set.end());
  return config::load_overrides(all).config.model.options;
}

struct Wanted {
  const models::FamilyInfo* family;
  std::shared_ptr<const models::FamilyOptions> options;
};

Wanted find(const PatternOptions& options) {
  if (const models::FamilyInfo* family = models::find_family(options.system)) {
    return {family, options.set.empty() ? defaults_of(*family, options.length) : options_of(*family, options)};
  }
  if (!io::info_followed(options.system).exists()) {
    std::string names;
    for (const models::FamilyInfo& family : models::families()) names += (names.empty() ? "" : ", ") + family.name;
    fail<ConfigError>("[pattern] {} is neither a configuration file nor a family of this build ({})", options.system,
                      names);
  }
  const config::Config config = config::load_config(options.system, options.set).config;
  return {models::find_family(config.model.family), config.model.options};
}

}  // namespace

int run_pattern(const PatternOptions& options, Console& console) {
  check<ConfigError>(options.length > 0, "[pattern] --length must be 1 or more tokens, received {}", options.length);
  const bool svg = options.out.ends_with(".svg");
  check<ConfigError>(options.out.empty() || svg || options.out.ends_with(".txt"),
                     "[pattern] --out {} must end in .svg or .txt", options.out);
  const auto [family, wanted] = find(options);
  check<ConfigError>(family->pattern != nullptr, "[pattern] {} has no fixed pattern", family->name);
  const Pattern pattern = family->pattern(*wanted, wanted->body.form, Extent::square(options.length));
  const std::string formula = family->cost.empty() ? "" : "cost of a layer: " + family->cost + "\n";
  if (!options.out.empty()) io::replace_file(options.out, svg ? svg_picture(pattern, family->name + ", " + formula.substr(0, formula.find('\n'))) : text_picture(pattern) + formula);
  if (!options.json) {
    if (options.out.empty()) console.stream(text_picture(pattern) + formula);
    return 0;
  }
  const PatternCost spent =
      cost(pattern, 1, pattern.layouts(), pattern.layouts(), wanted->body.head_dim, wanted->body.head_dim, 4);
  nlohmann::ordered_json json;
  json["family"] = family->name;
  json["length"] = options.length;
  json["heads"] = pattern.layouts();  // 1: all heads see the same
  json["tiles"] = spent.tiles;
  json["tile_size"] = kPatternTile;
  json["pairs"] = spent.pairs;
  json["pairs_per_query"] = static_cast<double>(spent.pairs) / static_cast<double>(options.length * pattern.layouts());
  json["share_of_dense"] = static_cast<double>(spent.pairs) / (static_cast<double>(options.length) *
                                                               static_cast<double>(options.length) * pattern.layouts());
  if (!family->cost.empty()) json["cost"] = family->cost;
  if (!options.out.empty()) json["out"] = options.out;
  console.result(json.dump());
  return 0;
}

}  // namespace longhaul::cli
