// defines: RunFolder
#pragma once
#include "framework/base/io.h"
#include "train/trainer/run_info.h"

namespace longhaul::train {

/// The paths of a run and the small files in it. A folder is a run once config.yaml is in it: that file is written last
/// when a run is created.
class RunFolder {
 public:
  explicit RunFolder(io::Path path) : path_(std::move(path)) {}

  const io::Path& path() const { return path_; }
  io::Path config() const { return path_ / "config.yaml"; }
  io::Path info() const { return path_ / "run.json"; }
  io::Path metrics() const { return path_ / "metrics.jsonl"; }
  io::Path journal() const { return path_ / "journal.jsonl"; }
  io::Path log() const { return path_ / "log.txt"; }
  io::Path checkpoints() const { return path_ / "checkpoints"; }

  bool is_run() const;
  /// throws CheckpointError when run.json is missing or is none
  RunInfo read_info() const;
  void write_info(const RunInfo& info) const;
  void write_config(const std::string& yaml) const;
  /// Writes, fsyncs and renames a small file where checkpoints go, and removes it. throws IoError
  void try_out() const;

 private:
  io::Path path_;
};

}  // namespace longhaul::train
