// defines: flag builders that check a value and say what is expected
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "train/cli/options.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace longhaul::cli {

/// The default of a flag is the value bound to it; `show` replaces what help says about it.
CLI::Option* text_flag(CLI::App& app, const std::string& name, std::string& value, const std::string& type,
                       const std::string& help);
CLI::Option* switch_flag(CLI::App& app, const std::string& name, bool& value, const std::string& help);
/// A whole number; "50k" and "2M" are taken.
CLI::Option* whole_flag(CLI::App& app, const std::string& name, int64_t& value, int64_t min, const std::string& help,
                        const std::string& show = "");
CLI::Option* number_flag(CLI::App& app, const std::string& name, double& value, double min, double max,
                         const std::string& help, const std::string& show = "");
/// One of the named values.
CLI::Option* word_flag(CLI::App& app, const std::string& name, const std::vector<std::string>& words,
                       const std::string& initial, std::function<void(size_t)> set, const std::string& help);
template <typename E>
CLI::Option* choice_flag(CLI::App& app, const std::string& name, E& value,
                         const std::vector<std::pair<std::string, E>>& choices, const std::string& help) {
  std::vector<std::string> words;
  std::string initial;
  for (const auto& [word, meaning] : choices) {
    words.push_back(word);
    if (meaning == value) initial = word;
  }
  return word_flag(
      app, name, words, initial, [&value, choices](size_t i) { value = choices[i].second; }, help);
}
/// A flag that may be repeated, one value each time.
CLI::Option* repeated_flag(CLI::App& app, const std::string& name, std::vector<std::string>& values,
                           const std::string& type, const std::string& help);
/// A required argument without a dash.
CLI::Option* argument(CLI::App& app, const std::string& name, std::string& value, const std::string& help);
CLI::Option* arguments(CLI::App& app, const std::string& name, std::vector<std::string>& values,
                       const std::string& help);

void set_flag(CLI::App& app, std::vector<std::string>& values);
void json_flag(CLI::App& app, bool& value);
void device_flags(CLI::App& app, DeviceOptions& options);
/// --part, --document and --text, which say how files become documents.
void text_flags(CLI::App& app, TextOptions& options);

/// The line `example: ...` of help.
void example(CLI::App& app, const std::string& line);

}  // namespace longhaul::cli
