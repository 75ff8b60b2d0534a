// defines: ReadResult, read_config
#pragma once
#include <map>
#include <set>
#include <string>

#include "train/config/config.h"
#include "train/config/node.h"

namespace longhaul::config {

struct ReadResult {
  std::map<std::string, Mark> origins;  // keys and sections that a text gave, with the place of the value
  std::set<std::string> wrong;          // keys with a problem, and keys that an unknown one was taken for
};

/// Fills `config` from the merged nodes through its declaration; unknown keys and values that are not what their key
/// expects go to `problems`. A relative path starts at the folder of the text that gives it.
ReadResult read_config(const Node& root, Config& config, Problems& problems);

}  // namespace longhaul::config
