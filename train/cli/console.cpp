#include "train/cli/console.h"

#include <cerrno>
#include <cstring>

#include "framework/base/error.h"

namespace longhaul::cli {
namespace {

void put(std::FILE* file, std::string_view text) { std::fwrite(text.data(), 1, text.size(), file); }

void flush_results(std::FILE* file) {
  if (std::fflush(file) == 0 && std::ferror(file) == 0) return;
  throw IoError(fmt::format("[console] standard output cannot be written: {}", std::strerror(errno)), errno);
}

}  // namespace

Console::Console(const Options& options, std::FILE* out, std::FILE* err) : options_(options), out_(out), err_(err) {}

Console::~Console() { end_progress(); }

void Console::result(std::string_view text) {
  end_progress();
  put(out_, text);
  put(out_, "\n");
  flush_results(out_);
}

void Console::stream(std::string_view text) {
  end_progress();
  put(out_, text);
  flush_results(out_);
}

void Console::note(std::string_view text) {
  if (quiet()) return;
  end_progress();
  put(err_, text);
  put(err_, "\n");
}

void Console::warn(std::string_view text) {
  end_progress();
  put(err_, options_.color ? "\x1b[33mwarning:\x1b[0m " : "warning: ");
  put(err_, text);
  put(err_, "\n");
}

void Console::progress(std::string_view text) {
  if (quiet()) return;
  if (!options_.live) return note(text);
  put(err_, "\r");
  put(err_, text);
  for (size_t column = text.size(); column < live_width_; ++column) put(err_, " ");
  live_width_ = text.size();
  std::fflush(err_);
}

void Console::end_progress() {
  if (live_width_ == 0) return;
  put(err_, "\n");
  std::fflush(err_);
  live_width_ = 0;
}

}  // namespace longhaul::cli
