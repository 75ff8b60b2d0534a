// defines: KeyChange, ResumeComparison, compare_for_resume
#pragma once
#include <string>
#include <vector>

#include "train/config/config.h"

namespace longhaul::config {

/// A key whose value differs; an empty side means that the key is absent there (another family, fewer entries).
struct KeyChange {
  std::string key, old_value, new_value;
};

struct ResumeComparison {
  std::vector<KeyChange> fixed;       // refused
  std::vector<KeyChange> may_change;  // allowed from here on: to be recorded in run.json and announced
  std::vector<KeyChange> harmless;    // silent

  /// throws ConfigError (exit 2) that lists every fixed key with its old and new value, when there is one
  void refuse_fixed(const std::string& run_folder) const;
};

/// Compares the configuration an interrupted run was started with and the one it is continued with.
ResumeComparison compare_for_resume(const Config& old_config, const Config& new_config);

}  // namespace longhaul::config
