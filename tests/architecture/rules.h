// defines: SourceFile, read_sources, layer_of, include_problems, text_problems, include_cycles
#pragma once
#include <string>
#include <vector>

namespace longhaul::architecture {

/// A file of the repository; the path is relative to its root.
struct SourceFile {
  std::string path;
  std::string text;
  bool is_header() const { return path.ends_with(".h"); }
  bool is_source() const { return is_header() || path.ends_with(".cpp"); }
};

struct Include {
  std::string target;
  bool quoted = false;  // "from the repository", not <from the system>
  int line = 0;
};

/// Every file of the house: C++, scripts, configurations, pages. Nothing that a build or a run wrote.
std::vector<SourceFile> read_sources(const std::string& root);

/// The layer a path belongs to ("framework/ops", "models", "framework/backends/cpu"); empty outside the house.
std::string layer_of(const std::string& path);

std::vector<Include> includes_of(const SourceFile& file);

/// Arrows that point up, includes of a backend, and third-party headers where they may not stand, one message each.
std::vector<std::string> include_problems(const SourceFile& file);

/// Words and paths that have no place in the repository, one message each.
std::vector<std::string> text_problems(const SourceFile& file);

/// Headers that include each other in a ring, as "a -> b -> a".
std::vector<std::string> include_cycles(const std::vector<SourceFile>& files);

int line_count(const SourceFile& file);

}  // namespace longhaul::architecture
