// defines: JournalEntry, JournalWriter, read_journal, cut_lines
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/io.h"

namespace longhaul::checkpoint {

/// One step in journal.jsonl. No wall time: the journals of equal runs are equal byte for byte.
struct JournalEntry {
  int64_t step = 0;
  double loss = 0;         // nats a token, kept with all its bits
  int64_t cursor = 0;      // samples consumed
  std::string state_hash;  // CapturedState::hash every run.hash_every steps; empty: none
};

/// Appends lines; each holds the SHA-256 of the line before (64 zeros in the first), so that an edit is visible and two
/// runs are compared by their last lines.
class JournalWriter {
 public:
  /// Continues a sound journal or starts one. throws CheckpointError when the chain of an existing one is broken
  explicit JournalWriter(const io::Path& path);
  /// Writes one line, whole or not at all. throws IoError
  void append(const JournalEntry& entry);
  /// fsync: call it before a checkpoint is saved, so that a resume finds every step the checkpoint has.
  void sync();
  int64_t last_step() const { return last_step_; }

 private:
  io::File file_;
  std::string previous_;
  int64_t last_step_ = 0;
  uint64_t size_ = 0;
};

/// All entries, with the chain checked. throws CheckpointError naming the first line that breaks it
std::vector<JournalEntry> read_journal(const io::Path& path);

/// Cuts a file of JSON lines with a "step" member (metrics.jsonl, journal.jsonl) back to the lines of steps up to
/// `step`: a new file, fsynced and renamed. A last line without its end is dropped, a missing file stays missing.
/// throws CheckpointError naming a complete line that is not such an object
void cut_lines(const io::Path& path, int64_t step);

}  // namespace longhaul::checkpoint
