// defines: Loaded, Purpose, load_config, load_overrides, resolved_yaml
#pragma once
#include <map>
#include <string>
#include <vector>

#include "train/config/config.h"
#include "train/config/node.h"

namespace longhaul::config {

/// A configuration that can be run, and where its values came from.
struct Loaded {
  Config config;
  std::map<std::string, Mark> origins;  // by full key; a key that is not here has its default
  std::vector<std::string> files;       // read, bases first, as a user knows them

  /// "run.yaml:9", "--set train.steps=5", "default"
  std::string origin(const std::string& key) const;
};

/// What a configuration is read for: a run needs texts and an end, a model made by `import` says nothing about them.
enum class Purpose { kRun, kModel };

/// Reads and checks a configuration: `path`, what it extends, and overrides "key=value" in order.
/// throws ConfigError with every mistake, each with its place; nothing has been created then
Loaded load_config(const std::string& path, const std::vector<std::string>& overrides = {}, Purpose purpose = Purpose::kRun);

/// The same without a file: overrides over the defaults.
Loaded load_overrides(const std::vector<std::string>& overrides);

/// The whole configuration with every value, as YAML that load_config reads back to an equal configuration and the same
/// text. Paths are absolute.
std::string resolved_yaml(const Config& config);

}  // namespace longhaul::config
