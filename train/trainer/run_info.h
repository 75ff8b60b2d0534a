// defines: RunInfo, RunChange, SplitInfo
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "train/observe/observer.h"

namespace longhaul::train {

/// A key that a run went on with another value for.
struct RunChange {
  int64_t step = 0;  // finished before
  std::string key, old_value, new_value;
};

/// The texts of a split as the run was created with them.
struct SplitInfo {
  std::string marks;  // data::marks_to_json of its files
  std::string hash;   // TokenSource::hash_hex
};

/// run.json: what a run is and what became of it, for people, scripts and the next resume.
struct RunInfo {
  std::string name, version, revision;
  std::string device, precision;
  int64_t ranks = 1;
  int64_t threads = 1;
  int64_t seed = 0;
  int64_t micro_batch = 0;  // resolved when the run was created
  int64_t parameters = 0;
  std::string tokenizer_hash;
  std::map<std::string, SplitInfo> splits;  // "train", "valid", "test"
  std::vector<RunChange> changes;           // on resume
  int64_t sessions = 0;                     // how often it was started
  std::string status = "running";           // running | finished | stopped | guard
  RunSummary summary;                       // of the last session that ended in order

  std::string to_json() const;
  /// throws CheckpointError naming `where` when the text is not what to_json wrote
  static RunInfo from_json(const std::string& text, const std::string& where);
};

}  // namespace longhaul::train
