#include "train/cli/flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "train/config/suggest.h"

namespace longhaul::cli {
namespace {

[[noreturn]] void refuse(const std::string& name, const std::string& value, const std::string& expected) {
  throw CLI::ValidationError(fmt::format("{} = {}: expected {}", name, value, expected));
}

// A flag that takes one value and hands it to `take`.
CLI::Option* value_flag(CLI::App& app, const std::string& name, std::function<void(const std::string&)> take,
                        const std::string& type, const std::string& initial, const std::string& help) {
  CLI::Option* option = app.add_option_function<std::string>(name, std::move(take), help);
  option->type_name(type)->default_str(initial);
  return option;
}

}  // namespace

CLI::Option* text_flag(CLI::App& app, const std::string& name, std::string& value, const std::string& type,
                       const std::string& help) {
  return value_flag(
      app, name, [&value](const std::string& text) { value = text; }, type, value, help);
}

CLI::Option* switch_flag(CLI::App& app, const std::string& name, bool& value, const std::string& help) {
  return app.add_flag(name, value, help);
}

CLI::Option* whole_flag(CLI::App& app, const std::string& name, int64_t& value, int64_t min, const std::string& help,
                        const std::string& show) {
  const auto take = [&value, name, min](const std::string& text) {
    const auto parsed = units::parse_count(text);
    if (!parsed || *parsed < min) refuse(name, text, fmt::format("a whole number, {} or more", min));
    value = *parsed;
  };
  return value_flag(app, name, take, "N", show.empty() ? fmt::format("{}", value) : show, help);
}

CLI::Option* number_flag(CLI::App& app, const std::string& name, double& value, double min, double max,
                         const std::string& help, const std::string& show) {
  const auto take = [&value, name, min, max](const std::string& text) {
    const auto parsed = units::parse_number(text);
    if (!parsed || *parsed < min || *parsed > max) refuse(name, text, fmt::format("a number, {} to {}", min, max));
    value = *parsed;
  };
  return value_flag(app, name, take, "X", show.empty() ? fmt::format("{}", value) : show, help);
}

CLI::Option* word_flag(CLI::App& app, const std::string& name, const std::vector<std::string>& words,
                       const std::string& initial, std::function<void(size_t)> set, const std::string& help) {
  const auto take = [name, words, set](const std::string& text) {
    for (size_t i = 0; i < words.size(); ++i) {
      if (words[i] == text) return set(i);
    }
    const std::string near = config::nearest(text, words);
    refuse(name, text,
           fmt::format("one of {}{}", fmt::join(words, ", "),
                       near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near)));
  };
  return value_flag(app, name, take, fmt::format("{}", fmt::join(words, "|")), initial, help);
}

CLI::Option* repeated_flag(CLI::App& app, const std::string& name, std::vector<std::string>& values,
                           const std::string& type, const std::string& help) {
  return app.add_option(name, values, help)->type_name(type)->allow_extra_args(false);
}

CLI::Option* argument(CLI::App& app, const std::string& name, std::string& value, const std::string& help) {
  return app.add_option(name, value, help)->type_name("")->required();
}

CLI::Option* arguments(CLI::App& app, const std::string& name, std::vector<std::string>& values,
                       const std::string& help) {
  return app.add_option(name, values, help)->type_name("")->required();
}

void set_flag(CLI::App& app, std::vector<std::string>& values) {
  repeated_flag(app, "--set", values, "KEY=VALUE",
                "override one key (repeatable), e.g. --set train.optimizer.learning_rate=3e-4");
}

void json_flag(CLI::App& app, bool& value) {
  switch_flag(app, "--json", value, "print one JSON object and nothing else on standard output");
}

void device_flags(CLI::App& app, DeviceOptions& options) {
  text_flag(app, "--device", options.device, "D", "auto, cpu, cuda, cuda:K or reference");
  const auto take = [&options](const std::string& text) {
    const auto parsed = units::parse_integer(text);
    if (!parsed || *parsed < 0 || *parsed > 4096) refuse("--threads", text, "a whole number, 0 to 4096");
    options.threads = static_cast<int>(*parsed);
  };
  value_flag(app, "--threads", take, "N", "all cores", "threads of the computation");
}

void text_flags(CLI::App& app, TextOptions& options) {
  using data::DocumentMode;
  const auto take = [&options](const std::string& text) {
    const auto parsed = units::parse_percent_range(text);
    if (!parsed) refuse("--part", text, "a part of each file in percent, e.g. 90%..100%");
    options.part = *parsed;
  };
  value_flag(app, "--part", take, "A%..B%", units::format_percent_range(options.part), "the part of each file to read");
  choice_flag<DocumentMode>(
      app, "--document", options.document,
      {{"file", DocumentMode::kFile}, {"line", DocumentMode::kLine}, {"blank_line", DocumentMode::kBlankLine}},
      "what a document is: the file, each line, or what blank lines separate");
  text_flag(app, "--column", options.text, "NAME", "column of .tsv and .jsonl that holds the text")
      ->default_str("text");
}

void example(CLI::App& app, const std::string& line) { app.footer(line); }

}  // namespace longhaul::cli
