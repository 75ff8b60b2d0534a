// defines: Counters, RunClock, CursorPart
#pragma once
#include <limits>

#include "data/sampler/batches.h"
#include "framework/base/state.h"
#include "framework/base/units.h"

namespace longhaul::train {

/// Everything a run counts that does not come from a clock: equal runs have equal counters.
struct Counters final : Stateful {
  // The run.
  int64_t steps = 0;       // finished, skipped ones included
  int64_t tokens = 0;      // read in these steps, without what was filled up
  int64_t skipped = 0;     // steps that the guard did not take
  int64_t bad_in_row = 0;  // of these, since the last one that was taken
  int64_t taken_step = 0;  // the last one that changed the weights

  // Where the stage began; its schedule counts from here.
  int64_t stage = 0;
  int64_t stage_updates = 0;
  int64_t stage_tokens = 0;
  double stage_epochs = 0;

  // Since the last log line.
  double interval_nats = 0;     // of taken steps
  int64_t interval_scored = 0;  // targets of taken steps
  int64_t interval_tokens = 0;  // of all steps

  // The last log line, to write it again when its step is evaluated after a resume.
  int64_t logged_step = 0;
  double logged_loss = std::numeric_limits<double>::quiet_NaN();
  double logged_rate = 0;
  double logged_norm = std::numeric_limits<double>::quiet_NaN();

  // Evaluations.
  int64_t evaluation_pending = 0;  // 1: one is due at this step and was not made
  int64_t evaluated_step = -1;     // -1: none yet
  double valid_loss = std::numeric_limits<double>::quiet_NaN();
  double valid_perplexity = std::numeric_limits<double>::quiet_NaN();
  double valid_bits_per_byte = std::numeric_limits<double>::quiet_NaN();
  double valid_accuracy = std::numeric_limits<double>::quiet_NaN();
  double valid_exact = std::numeric_limits<double>::quiet_NaN();
  double valid_f1 = std::numeric_limits<double>::quiet_NaN();
  int64_t best_step = 0;  // 0: none yet
  double best_loss = std::numeric_limits<double>::infinity();

  void save_state(StateWriter& out) const override;
  void load_state(StateReader& in) override;
};

/// What a clock measured, kept apart so that a hash of the state does not depend on it.
struct RunClock final : Stateful {
  double seconds = 0;           // training time of all sessions
  double interval_seconds = 0;  // of steps since the last log line
  double logged_speed = 0;      // tokens per second of the last log line

  void save_state(StateWriter& out) const override;
  void load_state(StateReader& in) override;
};

/// The data cursor as a part of the state.
struct CursorPart final : Stateful {
  data::DataCursor cursor;

  void save_state(StateWriter& out) const override;
  void load_state(StateReader& in) override;
};

/// Where a run stands, as periods measure it.
Progress progress_of(const Counters& counters, const RunClock& clock, const data::DataCursor& cursor);

}  // namespace longhaul::train
