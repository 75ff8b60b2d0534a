// defines: FolderKind, ParsedName, parse_name, FolderEntry, entries_of, candidates_of, unique_name, steps_to_remove, rotate
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "framework/checkpoint/checkpoint.h"

namespace longhaul::checkpoint {

enum class FolderKind {
  kCommitted,  // step-00000500
  kTemporary,  // step-00000500.tmp-<id>: a save that has not been committed
  kDiscarded,  // step-00000500.del-<id>: on its way out
};

struct ParsedName {
  FolderKind kind;
  int64_t step;
};

/// What a name inside the checkpoints folder stands for; nothing for names of other things.
std::optional<ParsedName> parse_name(const std::string& name);

struct FolderEntry {
  std::string name;
  ParsedName parsed;
};
/// The folders of checkpoints, newest first; empty when there is no such folder.
std::vector<FolderEntry> entries_of(const io::Path& checkpoints);
/// Committed ones, and discarded ones newer than all of these: a replacement of the newest was interrupted between its
/// two renames, so the discarded one is still the newest. Newest first.
std::vector<FolderEntry> candidates_of(const io::Path& checkpoints);

/// "<step folder><suffix><process id>-<count>", unlike every other name of this process.
std::string unique_name(int64_t step, const char* suffix);

/// Steps that retention does not keep when `saved` is known to be sound, oldest first; later steps than it always stay.
std::vector<int64_t> steps_to_remove(const io::Path& checkpoints, int64_t saved, const Retention& retention);
/// Removes them. Returns the removed steps.
std::vector<int64_t> rotate(const io::Path& checkpoints, int64_t saved, const Retention& retention);

}  // namespace longhaul::checkpoint
