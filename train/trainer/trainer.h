// defines: Trainer
#pragma once
#include <chrono>
#include <optional>

#include "framework/checkpoint/journal.h"
#include "train/trainer/counters.h"
#include "train/trainer/ending.h"
#include "train/trainer/evaluation.h"
#include "train/trainer/prepare.h"
#include "train/trainer/saver.h"
#include "train/trainer/trainee.h"

namespace longhaul::train {

/// Builds the stateful parts of a run, brings them to where the run stands, and goes on from there. Everything that
/// decides the next step is in the parts that it registers.
class Trainer {
 public:
  Trainer(const Prepared& prepared, const TrainingOptions& options);

  /// The parts of a checkpoint: "model", "optimizer", "ema" where it is kept, "data", "counters", "clock".
  const checkpoint::StateRegistry& parts() const { return parts_; }
  /// Takes the state of a checkpoint folder, or the weights that a new run starts from.
  void take_state();
  int64_t parameter_count() const { return trainee_->model().parameter_count(); }
  /// Room and rights for checkpoints. throws IoError
  void check_room() const { saver_->check_room(); }

  /// Whether the weights are those that `step` began with, although the run is past it: all steps since were skipped.
  bool holds_weights_before(int64_t step) const;
  /// Takes the steps up to `step` in memory and returns what that one gave; `first_sample` is where its data begins.
  StepOutcome replay(int64_t step, int64_t first_sample);

  /// Steps until the run ends or a stop is asked for, with the last save. throws GuardError, after saving
  RunSummary run(Observer& observer);

 private:
  using Clock = std::chrono::steady_clock;
  enum class Exit { kNone, kFinished, kProfiled, kSignal, kGuard };

  void enter_stage(int index);
  void cut_files();
  Exit loop();
  void take_step();
  double learning_rate(int64_t read) const;
  /// What a step has read.
  struct StepRead {
    int64_t first = 0, samples = 0;  // number of its first sample, and how many
    int64_t tokens = 0, scored = 0;
  };
  /// Batches of the step after so many.
  int64_t batches_of(int64_t steps) const;
  bool will_log(const StepRead& read) const;
  void count(const StepOutcome& outcome, const StepRead& read, double rate, double seconds);
  void journal_step(double loss);
  void after_step(const Progress& before);
  void write_log();
  bool evaluate_now();
  bool evaluate_test();
  std::optional<EvaluationResult> evaluate(const data::Split& split);
  EvaluationMetrics told(const EvaluationResult& result, const char* split, bool best) const;
  void save(bool must);
  void close_off();
  StepMetrics metrics(double loss, double speed) const;
  Progress progress() const { return progress_of(counters_, clock_, cursor_.cursor); }
  void tick();
  RunSummary summary(Exit exit) const;
  RunStart start_event() const;

  const Prepared& prepared_;
  const config::Config& config_;
  TrainingOptions options_;
  std::vector<Stage> stages_;
  Ending ending_;
  std::optional<data::TrainingBatches> batches_;
  std::optional<Trainee> trainee_;
  CursorPart cursor_;
  Counters counters_;
  RunClock clock_;
  checkpoint::StateRegistry parts_;
  checkpoint::StateRegistry timeless_;  // the same without the clock: what the journal hashes
  std::optional<Saver> saver_;
  std::optional<checkpoint::JournalWriter> journal_;
  Observer* observer_ = nullptr;

  Clock::time_point ticked_{};
  double session_seconds_ = 0;  // of steps, in this process
  int64_t session_tokens_ = 0;
  int64_t session_steps_ = 0;
  StepOutcome last_;
  double last_rate_ = 0;
  std::optional<EvaluationResult> test_;
  std::string guard_message_;
};

}  // namespace longhaul::train
