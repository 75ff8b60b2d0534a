// defines: Limits, Fault, prescan
#pragma once
#include <cstddef>
#include <optional>
#include <string>

namespace longhaul::config {

/// What a configuration may be at most. A YAML reader needs memory and stack that grow with these, not with the file.
struct Limits {
  static constexpr size_t kFileBytes = size_t{1} << 20;
  static constexpr int kDepth = 64;
  static constexpr size_t kNodes = 100000;  // after aliases are expanded, all files together
  static constexpr size_t kKeys = 1000;     // of one mapping
  static constexpr size_t kAnchors = 1000;  // of one text
  static constexpr size_t kFiles = 64;      // of an `extends` tree
};

struct Fault {
  int line = 0;
  int column = 0;
  std::string what;
};

/// Looks at a text before the YAML reader does, in one pass: size, control characters, UTF-8, tabs in the indentation,
/// directives, and nesting. On success the text has no byte order mark and its lines end with a line feed.
std::optional<Fault> prescan(std::string& text);

}  // namespace longhaul::config
