#include "train/cli/help.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "framework/kernels/backend.h"
#include "longhaul_version.h"

namespace longhaul::cli {
namespace {

constexpr size_t kWidth = 110;      // columns of a help text
constexpr size_t kMostIndent = 34;  // a wider flag stands on its own line

constexpr std::string_view kExitCodes =
    "exit codes:\n"
    "  0    done (also: the run was already finished)\n"
    "  1    failed: I/O, memory, internal; the run is locked by another process; parity, check or diff found "
    "differences\n"
    "  2    usage or configuration error, nothing was created\n"
    "  3    data or tokenizer missing, changed, unreadable or malformed\n"
    "  4    checkpoint or model file invalid, corrupt or missing\n"
    "  5    training stopped by a numerical guard\n"
    "  6    a rank was lost or stuck\n"
    "  130  stopped by SIGINT after saving: the same command continues\n"
    "  143  stopped by SIGTERM after saving: the same command continues\n";

std::string left_of(const CLI::Option& option) {
  std::string names = option.get_positional() ? option.get_single_name() : option.get_name(false, true);
  std::replace(names.begin(), names.end(), ',', ' ');
  const std::string type = option.get_expected_max() == 0 ? "" : option.get_type_name();
  return type.empty() ? names : names + " " + type;
}

// Words of `text` in lines of at most `width`, further lines indented.
std::string wrapped(const std::string& text, size_t indent, size_t width) {
  std::string out;
  size_t column = indent;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find(' ', start), text.size());
    if (column > indent && column + 1 + (end - start) > width) {
      out += "\n" + std::string(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += text.substr(start, end - start);
    column += end - start;
    start = end + 1;
  }
  return out;
}

std::string rows(const std::vector<std::pair<std::string, std::string>>& table) {
  size_t widest = 0;
  for (const auto& row : table) {
    if (row.first.size() <= kMostIndent) widest = std::max(widest, row.first.size());
  }
  std::string out;
  for (const auto& [left, right] : table) {
    const size_t indent = widest + 4;
    out += "  " + left;
    out += left.size() > widest ? "\n" + std::string(indent, ' ') : std::string(indent - 2 - left.size(), ' ');
    out += wrapped(right, indent, kWidth) + "\n";
  }
  return out;
}

std::string usage_of(const CLI::App& app) {
  std::string out = "usage: " + command_path(app);
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional()) continue;
    const std::string dots = option->get_items_expected_max() > 1 ? "..." : "";
    const std::string name = option->get_single_name() + dots;
    out += option->get_required() ? " " + name : " [" + name + "]";
  }
  if (!app.get_subcommands([](const CLI::App*) { return true; }).empty()) out += " COMMAND";
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_positional() && option->get_required()) out += " " + left_of(*option);
  }
  return out + " [flags]\n";
}

std::vector<std::pair<std::string, std::string>> options_of(const CLI::App& app, bool positional) {
  std::vector<std::pair<std::string, std::string>> table;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional() != positional) continue;
    std::string help = option->get_description();
    if (option->get_required()) {
      if (!positional) help += " (required)";
    } else if (option->get_expected_max() > 0 && !option->get_default_str().empty()) {
      help += fmt::format(" [{}]", option->get_default_str());
    }
    table.emplace_back(left_of(*option), help);
  }
  return table;
}

}  // namespace

std::string command_path(const CLI::App& app) {
  const CLI::App* parent = app.get_parent();
  return parent ? command_path(*parent) + " " + app.get_name() : app.get_name();
}

std::string help_text(const CLI::App& app) {
  const bool program = app.get_parent() == nullptr;
  std::string out = app.get_description() + "\n\n" + usage_of(app) + "\n";
  std::vector<std::pair<std::string, std::string>> options = options_of(app, true);
  for (auto& row : options_of(app, false)) options.push_back(std::move(row));
  std::vector<std::pair<std::string, std::string>> commands;
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    std::string text = command->get_description();
    if (program && text.find(';') != std::string::npos) text = text.substr(0, text.find(';')) + ".";
    commands.emplace_back(command->get_name(), text);
  }
  if (!commands.empty()) out += "commands:\n" + rows(commands) + "\n";
  if (!commands.empty()) out += "flags:\n";
  out += rows(options);
  if (!app.get_footer().empty()) out += "\nexample: " + app.get_footer() + "\n";
  if (program) {
    out += "\n" + std::string(kExitCodes) + "\nlonghaul COMMAND --help shows the flags of a command.\n";
  } else {
    out += "exit codes and the flags of all commands (--quiet, --verbose, --no-color): longhaul --help\n";
  }
  return out;
}

std::string version_text() {
  std::string devices;
  for (const kernels::Backend* backend : kernels::backends()) {
    devices += fmt::format("{}{}", devices.empty() ? "" : ", ", backend->name);
  }
  return fmt::format("longhaul {} (revision {})\ncompiler {}\ndevices {}\ntransports none (one process)\n",
                     LONGHAUL_VERSION, LONGHAUL_REVISION, LONGHAUL_COMPILER, devices);
}

}  // namespace longhaul::cli
