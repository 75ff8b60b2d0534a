// defines: make_run_folder, UnlessCreated, Prepared, prepare, prepare_replay, check_buildable
#pragma once
#include <optional>

#include "framework/checkpoint/checkpoint.h"
#include "framework/checkpoint/run_lock.h"
#include "train/trainer/corpora.h"
#include "train/trainer/run_folder.h"
#include "train/trainer/training.h"

namespace longhaul::train {

/// Makes the folder of a run where there is none and returns whether it did. throws ConfigError when the folder holds something
/// else than a run, CheckpointError when it holds checkpoints of a run whose configuration is gone
bool make_run_folder(const RunFolder& folder);

/// Takes away again what a run that was never created has left in its folder. Only the holder of the folder's lock has one, and
/// keeps the lock for longer: what stands there is then its own.
class UnlessCreated {
 public:
  UnlessCreated(const RunFolder& folder, bool made) : folder_(folder), made_(made) {}
  ~UnlessCreated();
  UnlessCreated(const UnlessCreated&) = delete;
  UnlessCreated& operator=(const UnlessCreated&) = delete;

 private:
  RunFolder folder_;
  bool made_;
};

/// A run that is about to go on.
struct Prepared {
  config::Config config;  // micro_batch resolved
  RunFolder folder;
  RunInfo info;
  Corpora corpora;
  io::Path init_from;                               // model folder of a new run, or empty
  std::optional<checkpoint::FoundCheckpoint> from;  // to continue; nothing: step 0
  std::map<std::string, std::string> public_files;  // of an imported model it began with, see exchange::public_files
  bool is_new = false;
  bool finished = false;  // nothing is left to do; info.summary says what was done
};

/// Builds the model without weights, so that what cannot work is said before anything is made. throws ConfigError
void check_buildable(const config::Config& config);

/// Decides between starting and continuing, compares configuration, data and tokenizer with those of the run and opens
/// everything. Creates nothing. The caller holds the lock of the folder. throws as run_training does
Prepared prepare(const config::Config& config, const TrainingOptions& options, const RunFolder& folder);

/// Opens a run as it stands, with data and tokenizer unchanged, to look at its steps; `from` is for the caller to choose.
/// Needs no lock. throws as prepare does
Prepared prepare_replay(const RunFolder& folder);

/// Makes a new run durable: tokenizer, run.json, and last config.yaml. One that continues gets the last two anew.
void record_run(const Prepared& prepared);

}  // namespace longhaul::train
