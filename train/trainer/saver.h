// defines: Saver
#pragma once
#include <optional>

#include "framework/checkpoint/checkpoint.h"
#include "train/trainer/counters.h"
#include "train/trainer/prepare.h"

namespace longhaul::train {

/// Writes the checkpoints of a run. A save that fails leaves the ones before as they are; the run goes on and tries
/// again after its next step, and ends when kAttempts saves in a row have failed.
class Saver {
 public:
  static constexpr int kAttempts = 3;

  Saver(const Prepared& prepared, const checkpoint::StateRegistry& registry);

  /// Stops early when there is no room for the checkpoints that are kept, or the folder cannot be written. throws
  /// IoError
  void check_room() const;
  /// Saves the state as of counters.steps. Nothing when the save failed and may be tried again.
  /// throws IoError at the last attempt, or at the first when `must`; CheckpointError when it does not read back
  std::optional<SavedCheckpoint> save(const Counters& counters, int64_t cursor, bool must);
  /// The step that was saved last by this process; -1: none.
  int64_t saved_step() const { return saved_step_; }
  /// A save failed and is to be tried again.
  bool owes() const { return failures_ > 0; }

 private:
  checkpoint::Retention retention(const Counters& counters) const;

  const checkpoint::StateRegistry& registry_;
  io::Path folder_;
  config::CheckpointConfig options_;
  checkpoint::CheckpointContent content_;  // all but state and position
  int64_t saved_step_ = -1;
  int failures_ = 0;
};

}  // namespace longhaul::train
