// defines: Replayed, replay_step
#pragma once
#include <string>

#include "framework/base/io.h"
#include "train/trainer/step.h"

namespace longhaul::train {

/// A step of a run, taken once more.
struct Replayed {
  int64_t step = 0;
  int64_t from_step = 0;  // of the checkpoint it began with; 0: from the start of the run
  int64_t first_sample = 0, last_sample = 0;
  StepOutcome outcome;
  double journal_loss = 0;  // what the journal says of the step
  bool same = false;        // outcome.loss has the same bits
};

/// Takes a step of the run in `run` again: from a checkpoint whose weights that step saw, or by repeating the steps
/// since the newest checkpoint before it. Everything happens in memory; the run's files stay as they are. `step` 0: the
/// last step of the journal. Steps are deterministic, so other bits mean a fault of the machine, another program, or a
/// configuration that was changed in between.
/// throws ConfigError: no run, a step it has not reached; DataError: data or tokenizer changed; CheckpointError
Replayed replay_step(const io::Path& run, int64_t step);

/// For people, and as one JSON object.
std::string replay_text(const Replayed& replayed);
std::string replay_json(const Replayed& replayed);

}  // namespace longhaul::train
