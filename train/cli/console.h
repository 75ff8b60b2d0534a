// defines: Console
#pragma once
#include <cstdio>
#include <string>
#include <string_view>

namespace longhaul::cli {

enum class Verbosity { kQuiet, kNormal, kVerbose };

/// Where a command speaks: results on standard output, everything else on standard error. Log lines go through
/// framework/base/log.h; this is for results, notes to a person and the live progress line.
class Console {
 public:
  struct Options {
    Verbosity verbosity = Verbosity::kNormal;
    bool color = false;  // on standard error
    bool live = false;   // standard error is a terminal: progress may rewrite its line
  };

  explicit Console(const Options& options, std::FILE* out = stdout, std::FILE* err = stderr);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  bool quiet() const { return options_.verbosity == Verbosity::kQuiet; }
  bool verbose() const { return options_.verbosity == Verbosity::kVerbose; }
  bool color() const { return options_.color; }
  bool live() const { return options_.live; }

  /// A result: standard output, with a line end. Never silenced. throws IoError when it cannot be written
  void result(std::string_view text);
  /// A piece of streamed result, as it is, visible at once.
  void stream(std::string_view text);
  /// A line for a person on standard error; silent with --quiet.
  void note(std::string_view text);
  /// A warning: something the user can act on; never silenced.
  void warn(std::string_view text);
  /// Replaces the live line on a terminal; elsewhere a plain line. Call it at the wanted intervals: it does not limit
  /// itself. Silent with --quiet.
  void progress(std::string_view text);
  /// Ends the live line, so that other output starts on its own line.
  void end_progress();

 private:
  Options options_;
  std::FILE* out_;
  std::FILE* err_;
  size_t live_width_ = 0;  // columns of the live line on the screen; 0: none
};

}  // namespace longhaul::cli
