#include "train/commands/pattern.h"

#include <nlohmann/json.hpp>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/base/io.h"
#include "framework/pattern/audit.h"
#include "framework/pattern/picture.h"
#include "models/registry.h"
#include "train/commands/input.h"
#include "train/commands/open_model.h"
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
  std::map<std::string, double> measured = {};  // nn::Gauges by name
};

// What the model tells of a pass over the first tokens of a text.
std::map<std::string, double> measure(const OpenedModel& opened, const PatternOptions& options) {
  const auto* model = dynamic_cast<const models::LanguageModel*>(opened.model.get());
  check<ConfigError>(model != nullptr,
                     "[pattern] --text measures decoders and encoders; {} is an encoder with a decoder",
                     options.system);
  std::vector<int32_t> tokens = opened.objective->tokenizer().encode(read_input(options.text));
  const auto found = static_cast<int64_t>(tokens.size());
  check<DataError>(found >= options.length,
                   "[pattern] {} has {} tokens, --length asks for {}\n  hint: a longer text, or --length {}",
                   options.text, found, options.length, found);
  tokens.resize(static_cast<size_t>(options.length));
  nn::Gauges gauges;
  nn::StepContext context;
  context.compute = opened.compute;
  context.gauges = &gauges;
  const NoTapeScope no_tape;
  model->hidden({.tokens = Tensor::of({1, options.length}, tokens, model->device())}, context);
  check<ConfigError>(!gauges.values().empty(),
                     "[pattern] a model of the family {} chooses nothing by content: there is nothing to measure\n"
                     "  hint: leave out --text",
                     model->spec().family);
  return gauges.values();
}

Wanted find(const PatternOptions& options) {
  const models::FamilyInfo* named = models::find_family(options.system);
  if (!named && io::info_followed(options.system).kind == io::Kind::kFolder) {
    const OpenedModel opened = open_model(options.system, Device::cpu(), options.set);
    Wanted wanted{models::find_family(opened.model->spec().family), opened.model->spec().options};
    if (!options.text.empty()) wanted.measured = measure(opened, options);
    return wanted;
  }
  check<ConfigError>(options.text.empty(),
                     "[pattern] --text measures a trained model, received {}\n"
                     "  hint: name a run folder, a checkpoint or a model folder",
                     options.system);
  if (named) return {named, options.set.empty() ? defaults_of(*named, options.length) : options_of(*named, options)};
  if (!io::info_followed(options.system).exists()) {
    std::string names;
    for (const models::FamilyInfo& family : models::families()) names += (names.empty() ? "" : ", ") + family.name;
    fail<ConfigError>("[pattern] {} is neither a configuration file, a model nor a family of this build ({})",
                      options.system, names);
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
  const auto [family, wanted, measured] = find(options);
  check<ConfigError>(family->pattern != nullptr, "[pattern] {} has no fixed pattern", family->name);
  const Pattern pattern = family->pattern(*wanted, wanted->body.form, Extent::square(options.length));
  const std::string formula = family->cost.empty() ? "" : "cost of a layer: " + family->cost;
  std::string notes = formula.empty() ? "" : formula + "\n";
  for (const auto& [name, value] : measured) notes += fmt::format("measured {}: {:.4f}\n", name, value);
  if (!options.out.empty()) {
    const std::string title = family->name + (formula.empty() ? "" : ", " + formula);
    io::replace_file(options.out, svg ? svg_picture(pattern, title) : text_picture(pattern) + notes);
  }
  if (!options.json) {
    if (options.out.empty()) console.stream(text_picture(pattern) + notes);
    if (!options.out.empty() && !measured.empty()) console.stream(notes);
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
  if (!measured.empty()) json["measured"] = measured;
  if (!options.out.empty()) json["out"] = options.out;
  console.result(json.dump());
  return 0;
}

}  // namespace longhaul::cli
