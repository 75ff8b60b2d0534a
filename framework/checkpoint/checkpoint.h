// defines: save_checkpoint, load_checkpoint, load_weights, find_newest_sound, verify, resolve_model
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/io.h"
#include "framework/checkpoint/manifest.h"
#include "framework/checkpoint/registry.h"

/// Checkpoints of a run: folders RUN/checkpoints/step-00000500 that appear whole or not at all. Everywhere below
/// `checkpoints` is the folder that holds them.
///
/// Protocol of a save: a folder with a temporary name; every file written, hashed, fsynced and closed; the manifest,
/// fsynced; fsync of the folder; rename to its final name; fsync of the parent, which is the commit. Then the new
/// folder is read back and verified, and only then older ones are removed, by a rename to a ".del-" name first.
namespace longhaul::checkpoint {

/// Everything one checkpoint holds.
struct CheckpointContent {
  int64_t step = 0;
  CapturedState state;
  std::map<std::string, std::string> files;  // further files by plain name: config.yaml, tokenizer.*
  int64_t cursor = 0;                        // samples consumed
  int world_size = 1;
  std::string tokenizer_hash;
  std::map<std::string, std::string> data_hashes;
};

/// Which checkpoints stay: the newest `keep` (1 or more) and the pinned ones.
struct Retention {
  int keep = 2;
  std::vector<int64_t> pinned;  // steps, for instance the best by validation loss
};

struct SaveReport {
  io::Path folder;
  uint64_t bytes = 0;
  std::vector<int64_t> removed;  // steps that rotation took away
  std::string warning;           // rotation failed although the save is sound; empty: nothing to say
};

/// Writes, commits, verifies and rotates as above. Whatever fails, older checkpoints are untouched and at most one
/// temporary folder stays behind, which the next save or start removes.
/// throws IoError (errno kept) when the save failed; CheckpointError when it does not read back as written
SaveReport save_checkpoint(const io::Path& checkpoints, const CheckpointContent& content, const Retention& retention);

/// "step-00000500"
std::string folder_name(int64_t step);
/// The step of a committed folder's name; nothing for any other name.
std::optional<int64_t> step_of(const std::string& name);

/// Removes what interrupted saves and removals left. Only for the holder of the run lock.
void remove_leftovers(const io::Path& checkpoints);

/// One thing wrong with a folder.
struct Damage {
  std::string file;
  std::string tensor;   // empty: the file as a whole, or its header
  std::string message;  // the whole text, naming file and tensor
};

/// Checks every hash of a checkpoint or model folder; empty: sound. Damage is reported in the order of the manifest, a
/// broken manifest alone. throws IoError only for conditions that say nothing about the folder (permissions, memory)
std::vector<Damage> verify(const io::Path& folder);
/// Reads and checks the manifest alone.
Manifest read_manifest(const io::Path& folder);

struct Skipped {
  int64_t step = 0;
  std::string reason;  // one line
};

struct FoundCheckpoint {
  io::Path folder;
  int64_t step = 0;
  Manifest manifest;
  std::vector<Skipped> skipped;  // newer ones that are damaged, newest first
};

/// The newest checkpoint whose every hash holds. Nothing when the folder is missing or holds no checkpoint at all.
/// throws CheckpointError when there are checkpoints but none is sound, and, with `strict`, when the newest is not
std::optional<FoundCheckpoint> find_newest_sound(const io::Path& checkpoints, bool strict = false);
/// Committed checkpoints by step, oldest first, sound or not.
std::vector<int64_t> steps_of(const io::Path& checkpoints);

/// Fills the registered parts from a checkpoint folder; every tensor is hashed as it is read into place, so memory does
/// not double. Parts and entries must match the folder exactly. throws CheckpointError naming file and entry
Manifest load_checkpoint(const io::Path& folder, const StateRegistry& registry);

/// Fills model tensors from model.safetensors of a checkpoint or model folder. Names and shapes must match exactly;
/// floating-point dtypes are converted. Names that begin with `may_differ` are free: what is not in the file in that shape
/// stays as it is, what is only in the file is left. throws CheckpointError
Manifest load_weights(const io::Path& folder, const std::vector<NamedTensor>& into, std::string_view may_differ = {});

/// The folder that MODEL names on the command line: a run folder (its newest sound checkpoint), one checkpoint folder,
/// or a model folder made by `import`. throws CheckpointError when it is none of them
io::Path resolve_model(const io::Path& model);

/// Stops early when the file system cannot hold `keep` + 1 checkpoints of `bytes` bytes. throws IoError with ENOSPC
void require_space(const io::Path& checkpoints, uint64_t bytes, int keep);

}  // namespace longhaul::checkpoint
