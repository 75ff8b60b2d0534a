// defines: MetricsFile, TensorBoardObserver, LossPlot, make_run_observers
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "framework/base/io.h"
#include "train/cli/console.h"
#include "train/observe/observer.h"
#include "train/observe/tensorboard.h"

namespace longhaul::train {

/// metrics.jsonl: one line for each step that was logged or evaluated. A line is written when its step is complete: an
/// evaluation of a logged step adds to the same line.
class MetricsFile final : public Observer {
 public:
  explicit MetricsFile(io::Path path);
  void on_start(const RunStart& event) override;
  void on_step(const StepMetrics& event) override;
  void on_log(const StepMetrics& event) override;
  void on_evaluation(const EvaluationMetrics& event) override;
  void flush() override;
  void on_end(const RunSummary& event) override;

 private:
  void add(int64_t step, const std::string& members);
  void write_pending();

  io::Path path_;
  io::File file_;
  int64_t pending_step_ = -1;
  std::string pending_;  // members of the line of pending_step_, without braces
  // The line that was written last: what is told of its step afterwards joins it.
  std::string written_;
  int64_t written_step_ = -1;
  uint64_t line_begin_ = 0;
};

/// Scalars of log steps and evaluations in folder/events.out.tfevents.*
class TensorBoardObserver final : public Observer {
 public:
  using Clock = double (*)();  // seconds since the epoch
  explicit TensorBoardObserver(io::Path folder, Clock clock = wall_seconds);
  void on_start(const RunStart& event) override;
  void on_log(const StepMetrics& event) override;
  void on_evaluation(const EvaluationMetrics& event) override;
  void flush() override;

  static double wall_seconds();

 private:
  io::Path folder_;
  Clock clock_;
  std::optional<TensorBoardFile> file_;
};

/// Draws the losses in metrics.jsonl as an SVG when the run ends.
class LossPlot final : public Observer {
 public:
  LossPlot(io::Path metrics, io::Path svg);
  void on_start(const RunStart& event) override;
  void on_end(const RunSummary& event) override;

 private:
  io::Path metrics_, svg_;
  std::string name_;
};

/// Everything that watches a run: the progress on the console, and metrics.jsonl, events/ and loss.svg in its folder.
std::unique_ptr<Observer> make_run_observers(const io::Path& run, cli::Console& console);

}  // namespace longhaul::train
