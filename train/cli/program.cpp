#include "train/cli/program.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <new>

#include "framework/base/error.h"
#include "framework/base/interrupt.h"
#include "framework/base/log.h"
#include "train/cli/commands.h"
#include "train/cli/console.h"
#include "train/cli/help.h"
#include "train/config/suggest.h"

namespace longhaul::cli {
namespace {

constexpr int kUsage = static_cast<int>(ErrorKind::kConfig);

struct GlobalFlags {
  bool quiet = false, verbose = false, no_color = false;
};

bool set_in_environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

Console::Options console_options(const GlobalFlags& flags) {
  Console::Options options;
  if (flags.verbose) options.verbosity = Verbosity::kVerbose;
  if (flags.quiet) options.verbosity = Verbosity::kQuiet;
  const char* terminal = std::getenv("TERM");
  const bool dumb = terminal != nullptr && std::string_view(terminal) == "dumb";
  options.live = isatty(STDERR_FILENO) == 1 && !dumb;
  options.color = options.live && !flags.no_color && !set_in_environment("NO_COLOR");
  return options;
}

void print_error(const std::string& message, bool color) {
  std::fputs(color ? "\x1b[31merror:\x1b[0m " : "error: ", stderr);
  std::fputs(message.c_str(), stderr);
  std::fputs("\n", stderr);
}

// The command that was being parsed: the last one named.
const CLI::App& parsed_app(const CLI::App& app) {
  const auto parsed = app.get_subcommands();
  return parsed.empty() ? app : parsed_app(*parsed.back());
}

// A first word that is no command, or a flag nobody knows: name the nearest.
std::string nearest_hint(const CLI::App& app, const std::string& word) {
  std::vector<std::string> names;
  if (word.starts_with("-")) {
    const std::string flag = word.substr(0, word.find('='));
    for (const CLI::Option* option : app.get_options()) {
      if (!option->get_positional()) names.push_back("--" + option->get_single_name());
    }
    const std::string near = config::nearest(flag, names);
    return near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near);
  }
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(command->get_name());
  const std::string near = config::nearest(word, names);
  return near.empty() ? "" : fmt::format("; did you mean \"{}\"?", near);
}

std::string usage_message(const CLI::App& root, const CLI::ParseError& error) {
  const CLI::App& app = parsed_app(root);
  const bool has_commands = !app.get_subcommands([](const CLI::App*) { return true; }).empty();
  std::string what = error.what();
  const std::vector<std::string> extra = root.remaining(true);
  if (!extra.empty() && dynamic_cast<const CLI::ValidationError*>(&error) == nullptr) {
    const bool flag = extra.front().starts_with("-");
    what = fmt::format("unknown {} \"{}\"{}",
                       flag           ? "flag"
                       : has_commands ? "command"
                                      : "argument",
                       extra.front(), nearest_hint(app, extra.front()));
  } else if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr && has_commands) {
    what = "a command is missing";
  }
  return fmt::format("[usage] {}\n  next: {} --help", what, command_path(app));
}

constexpr const char* kNoMemory =
    "[memory] the system gave no more memory\n  hint: longhaul plan CONFIG says what a run needs";

// Destructors of some libraries need memory, and cannot say so when there is none.
[[noreturn]] void end_at_once() noexcept {
  try {
    if (const std::exception_ptr current = std::current_exception()) std::rethrow_exception(current);
  } catch (const std::bad_alloc&) {
    for (const char* part : {"error: ", kNoMemory, "\n"}) {
      if (::write(STDERR_FILENO, part, std::strlen(part)) < 0) break;
    }
    ::_exit(static_cast<int>(ErrorKind::kFailure));
  } catch (...) {
  }
  std::abort();
}

int run_guarded(const std::function<int()>& body, bool color) {
  try {
    return body();
  } catch (const Error& error) {
    print_error(error.what(), color);
    return error.exit_code();
  } catch (const Interrupted& stop) {
    print_error(fmt::format("[signal] stopped by {}; nothing was written", stop.signal == SIGINT ? "SIGINT" : "SIGTERM"),
                color);
    return 128 + stop.signal;
  } catch (const std::bad_alloc&) {
    print_error(kNoMemory, color);
    return static_cast<int>(ErrorKind::kFailure);
  } catch (const std::exception& error) {
    print_error(InternalError(error.what()).what(), color);
    return static_cast<int>(ErrorKind::kFailure);
  }
}

}  // namespace

int run_program(int argc, char** argv) {
  std::set_terminate(end_at_once);
  std::signal(SIGXFSZ, SIG_IGN);  // a file beyond the limit of its size is a failed write, not the end
  CLI::App app("Train long-sequence language models from one YAML file.", "longhaul");
  GlobalFlags flags;
  app.set_help_flag("-h,--help", "show help");
  bool version = false;
  app.add_flag("--version", version, "show version, revision, compiler, devices and transports");
  app.add_flag("-q,--quiet", flags.quiet, "only results, warnings and errors");
  app.add_flag("-v,--verbose", flags.verbose, "also log lines for a closer look");
  app.add_flag("--no-color", flags.no_color, "no colour (NO_COLOR in the environment does the same)");
  app.footer("longhaul train configs/quickstart.yaml");
  app.require_subcommand(0, 1);
  std::function<int(Console&)> selected;
  add_commands(app, selected);

  const bool early_color = console_options(flags).color;
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(help_text(parsed_app(app)).c_str(), stdout);
    return 0;
  } catch (const CLI::ParseError& error) {
    print_error(usage_message(app, error), early_color && !flags.no_color);
    return kUsage;
  }
  if (version) {
    std::fputs(version_text().c_str(), stdout);
    return 0;
  }
  const Console::Options options = console_options(flags);
  if (!selected) {
    print_error("[usage] a command is missing\n  next: longhaul --help", options.color);
    return kUsage;
  }
  log::Options logging;
  logging.level = flags.quiet ? log::Level::kWarning : flags.verbose ? log::Level::kDebug : log::Level::kInfo;
  logging.color = options.color;
  log::configure(logging);
  Console console(options);
  return run_guarded([&] { return selected(console); }, options.color);
}

}  // namespace longhaul::cli
