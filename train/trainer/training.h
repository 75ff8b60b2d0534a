// defines: TrainingOptions, run_training
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "framework/base/io.h"
#include "framework/kernels/kernel.h"
#include "train/config/config.h"
#include "train/observe/observer.h"
#include "train/trainer/step.h"

namespace longhaul::train {

struct TrainingOptions {
  io::Path run;                           // run folder; made when it is missing
  bool fresh = false;                     // refuse to continue an existing run
  bool strict = false;                    // continue from the newest checkpoint or not at all
  int64_t profile = 0;                    // stop after so many steps of this process; 0 = no such stop
  kernels::KernelTimer* timer = nullptr;  // sees every kernel of the steps; null: none
  /// Makes what watches the run, once its folder belongs to this process; may set up the log.
  std::function<std::unique_ptr<Observer>(const io::Path& run)> observe;
  /// See TrainingStep::Probe.
  TrainingStep::Probe probe;
};

/// Trains the run in a folder to its end: starts it when the folder holds none, else continues it from its newest sound
/// checkpoint. SIGTERM, SIGINT and SIGUSR1 are heeded from the first moment on.
///
/// Returns the summary; its exit_code is 0 when the run is finished (also when it was before), 128 + signal when it was
/// asked to stop, after saving.
/// throws ConfigError: fresh on an existing run, a fixed key changed, no such device; DataError: data or tokenizer
/// missing or changed; CheckpointError; GuardError after saving when too many steps in a row were not finite;
/// FailureError: the folder is in use, I/O
RunSummary run_training(const config::Config& config, const TrainingOptions& options);

}  // namespace longhaul::train
