// defines: ProgressObserver, step_line, live_line
#pragma once
#include <chrono>
#include <functional>

#include "train/cli/console.h"
#include "train/observe/observer.h"

namespace longhaul::train {

/// Shows a run to a person: on a terminal one live line and a line for each evaluation, elsewhere a line each log step.
/// All of it also goes to the log file.
class ProgressObserver final : public Observer {
 public:
  using Clock = std::function<double()>;  // seconds, growing
  explicit ProgressObserver(cli::Console& console, Clock clock = steady_seconds);
  void on_start(const RunStart& event) override;
  void on_step(const StepMetrics& event) override;
  void on_log(const StepMetrics& event) override;
  void on_evaluating(const EvaluationProgress& event) override;
  void on_evaluation(const EvaluationMetrics& event) override;
  void on_checkpoint(const SavedCheckpoint& event) override;
  void on_end(const RunSummary& event) override;

  static double steady_seconds();

 private:
  void line(const std::string& text);

  cli::Console& console_;
  Clock clock_;
  RunStart start_;
  StepMetrics shown_;  // the smoothed figures of the last log step, for the live line
  double next_live_ = 0;
  double evaluating_since_ = -1;  // when the last line about the evaluation in progress was written; -1: none is
};

/// "[train]  step 4010 | 262.8M tokens | loss 1.4132 nats/token | grad 0.83 | rate 2.4e-04 | 1,312 tokens/s | ..."
std::string step_line(const StepMetrics& metrics);
/// The same for one line of a terminal: at most 100 columns.
std::string live_line(const StepMetrics& metrics, const RunStart& start);

}  // namespace longhaul::train
