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

// The options of a family with its defaults; --set model.KEY=VALUE is for configurations.
std::shared_ptr<const models::FamilyOptions> defaults_of(const models::FamilyInfo& family, int64_t length) {
  auto options = family.make();
  family.resolve(*options, {.sequence_length = length, .form = family.drawn});
  return options;
}

struct Wanted {
  const models::FamilyInfo* family;
  std::shared_ptr<const models::FamilyOptions> options;
};

Wanted find(const PatternOptions& options) {
  if (const models::FamilyInfo* family = models::find_family(options.system)) {
    check<ConfigError>(options.set.empty(),
                       "[pattern] --set goes with a configuration file, not with the name of a family ({})",
                       options.system);
    return {family, defaults_of(*family, options.length)};
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

bool ends_with(const std::string& text, const char* end) { return text.ends_with(end); }

}  // namespace

int run_pattern(const PatternOptions& options, Console& console) {
  check<ConfigError>(options.length > 0, "[pattern] --length must be 1 or more tokens, received {}", options.length);
  const bool svg = ends_with(options.out, ".svg");
  check<ConfigError>(options.out.empty() || svg || ends_with(options.out, ".txt"),
                     "[pattern] --out {} must end in .svg or .txt", options.out);
  const auto [family, wanted] = find(options);
  check<ConfigError>(family->pattern != nullptr, "[pattern] {} has no fixed pattern", family->name);
  const Pattern pattern = family->pattern(*wanted, wanted->body.form, Extent::square(options.length));
  const std::string formula = family->cost.empty() ? "" : "\ncost of a layer: " + family->cost;
  if (!options.out.empty()) io::replace_file(options.out, svg ? svg_picture(pattern) : text_picture(pattern) + formula + "\n");
  if (!options.json) {
    if (options.out.empty()) console.result(text_picture(pattern) + formula);
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
