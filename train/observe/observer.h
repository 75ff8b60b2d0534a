// defines: RunStart, StepMetrics, EvaluationMetrics, EvaluationProgress, SavedCheckpoint, RunSummary, Observer,
// Observers
//
// What a training run tells the world. The trainer knows this interface only; the progress line, metrics.jsonl and
// TensorBoard events are observers.
#pragma once
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace longhaul::train {

inline constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

/// Once, before the first step of this process; also when a run continues.
struct RunStart {
  std::string name;       // run.name
  std::string folder;     // run folder, as given
  std::string config;     // the resolved configuration, YAML
  std::string device;     // "cpu"
  std::string precision;  // "f32", "bf16"
  int threads = 1;
  int64_t parameters = 0;   // elements, tied ones once
  int64_t step = 0;         // finished before this process; 0: a new run
  int64_t tokens = 0;       // likewise
  double seconds = 0;       // likewise
  int64_t last_step = 0;    // where the run ends by train.steps or its stages; 0: another end
  int64_t last_tokens = 0;  // by train.tokens; 0: another end
  double last_seconds = 0;  // by train.time; 0: another end
};

/// A finished step. In on_log loss and speed are means since the log line before; in on_step they are those of the
/// step.
struct StepMetrics {
  int64_t step = 0;        // 1 for the first
  int64_t tokens = 0;      // trained on so far, over all ranks
  double epoch = 0;        // passes over the training data so far
  double loss = kUnknown;  // nats a scored token, without label smoothing; NaN when only skipped steps were seen
  double learning_rate = 0;
  double grad_norm = kUnknown;  // before clipping, of the last step; NaN or infinite when it was skipped
  double tokens_per_second = 0;
  int64_t memory = 0;                   // bytes: largest live tensor memory so far
  double seconds = 0;                   // training time of all sessions
  double remaining_seconds = kUnknown;  // until the nearest end of the run
  int64_t skipped_steps = 0;            // by the guard against non-finite numbers, so far
  bool skipped = false;                 // on_step: this one was
  int stage = 0;                        // from 0
  std::map<std::string, double> gauges = {};  // on_log: nn::Gauges of the last step, by name
};

/// An evaluation during or at the end of a run.
struct EvaluationMetrics {
  int64_t step = 0;
  int64_t tokens_seen = 0;          // trained on when it was made
  std::string split;                // "valid", "test"
  double loss = kUnknown;           // nats a token
  double perplexity = kUnknown;     // a token
  double bits_per_byte = kUnknown;  // NaN where the tokenizer loses text
  double word_perplexity = kUnknown;
  double accuracy = kUnknown;         // share of targets that were the likeliest; NaN where it is not known
  double exact = kUnknown, f1 = kUnknown;  // answers; NaN for other objectives
  int64_t tokens = 0;  // scored
  double seconds = 0;
  bool best = false;      // better than every earlier one of this run
  bool averaged = false;  // made with the moving average of the weights
};

/// How far an evaluation is.
struct EvaluationProgress {
  int64_t step = 0;
  std::string split;
  int64_t scored = 0;  // tokens so far
  int64_t tokens = 0;  // of so many
};

struct SavedCheckpoint {
  int64_t step = 0;
  std::string folder;
  int64_t bytes = 0;
  double seconds = 0;
  std::vector<int64_t> removed;  // steps that rotation took away
};

/// The end of this process's part of the run. `train` prints it; NaN: not known.
struct RunSummary {
  int64_t steps = 0;
  int64_t tokens = 0;
  double seconds = 0;            // training time of all sessions
  double train_loss = kUnknown;  // mean of the last log interval, nats a token
  double valid_loss = kUnknown;  // of the last evaluation, nats a token
  double valid_perplexity = kUnknown;
  double bits_per_byte = kUnknown;
  double test_loss = kUnknown;  // of data.test, at the end
  double test_perplexity = kUnknown;
  double test_bits_per_byte = kUnknown;
  double accuracy = kUnknown, exact = kUnknown, f1 = kUnknown;  // of the last evaluation, where the objective has them
  double tokens_per_second = 0;   // of this process
  int64_t peak_memory_bytes = 0;  // of this process: resident
  std::string run;                // folder
  std::string status;             // "finished", "stopped" (by a signal), "guard"
  int exit_code = 0;
};

/// Receives the events of a run in order, on the training thread. Observers do not decide anything: one that throws
/// ends the run as any other failure does. On resume the trainer has cut metrics.jsonl back before on_start.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_start(const RunStart&) {}
  /// After every step; keep it cheap.
  virtual void on_step(const StepMetrics&) {}
  /// Every train.log_every, and after the last step.
  virtual void on_log(const StepMetrics&) {}
  /// After every batch of an evaluation; keep it cheap.
  virtual void on_evaluating(const EvaluationProgress&) {}
  virtual void on_evaluation(const EvaluationMetrics&) {}
  virtual void on_checkpoint(const SavedCheckpoint&) {}
  /// Everything told so far is made durable: called before each checkpoint is written.
  virtual void flush() {}
  virtual void on_end(const RunSummary&) {}
};

/// Passes every event on to a list of observers.
class Observers final : public Observer {
 public:
  void add(std::unique_ptr<Observer> observer);
  void on_start(const RunStart& event) override;
  void on_step(const StepMetrics& event) override;
  void on_log(const StepMetrics& event) override;
  void on_evaluating(const EvaluationProgress& event) override;
  void on_evaluation(const EvaluationMetrics& event) override;
  void on_checkpoint(const SavedCheckpoint& event) override;
  void flush() override;
  void on_end(const RunSummary& event) override;

 private:
  std::vector<std::unique_ptr<Observer>> all_;
};

}  // namespace longhaul::train
