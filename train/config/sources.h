// defines: Merged, read_sources, read_overrides
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "train/config/node.h"

namespace longhaul::config {

/// The texts of a configuration laid over each other: mappings key by key, everything else as a whole; what comes later
/// wins: bases in the order of `extends`, the file itself, the command line.
struct Merged {
  Node root;
  std::shared_ptr<const Source> file;  // the file the user named
  std::vector<std::string> files;      // all files read, bases first
  bool incomplete = false;             // a text could not be read: what is missing from the rest is no news
};

/// Reads `path`, what it extends, and the overrides ("key.of.a.value=yaml"). Mistakes go to `problems`.
Merged read_sources(const std::string& path, const std::vector<std::string>& overrides, Problems& problems);
/// The overrides alone.
Merged read_overrides(const std::vector<std::string>& overrides, Problems& problems);

}  // namespace longhaul::config
