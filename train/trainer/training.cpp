#include "train/trainer/training.h"

#include "framework/base/error.h"
#include "framework/base/interrupt.h"
#include "framework/base/log.h"
#include "framework/base/threads.h"
#include "train/trainer/from_config.h"
#include "train/trainer/prepare.h"
#include "train/trainer/signals.h"
#include "train/trainer/trainer.h"

namespace longhaul::train {
namespace {

RunSummary finished_before(const Prepared& prepared) {
  RunSummary out = prepared.info.summary;
  out.run = prepared.folder.path().string();
  out.status = "finished";
  log::info("[resume] the run in {} is finished: {} steps", out.run, out.steps);
  return out;
}

RunSummary stopped_early(const io::Path& run, int signal) {
  RunSummary out;
  out.run = run.string();
  out.status = "stopped";
  out.exit_code = 128 + signal;
  log::info("[signal] stopped before the first step; nothing was lost");
  return out;
}

// Writes into run.json how a session ended.
class StatusWriter final : public Observer {
 public:
  StatusWriter(const RunFolder& folder, RunInfo& info) : folder_(folder), info_(info) {}
  void on_end(const RunSummary& summary) override {
    info_.status = summary.status;
    info_.summary = summary;
    folder_.write_info(info_);
  }

 private:
  const RunFolder& folder_;
  RunInfo& info_;
};

// The timer sees the steps and nothing before them.
class TimerScope {
 public:
  explicit TimerScope(kernels::KernelTimer* timer) { kernels::KernelTimer::install(timer); }
  ~TimerScope() { kernels::KernelTimer::install(nullptr); }
  TimerScope(const TimerScope&) = delete;
  TimerScope& operator=(const TimerScope&) = delete;
};

Prepared prepare_interruptibly(const config::Config& config, const TrainingOptions& options, const RunFolder& folder) {
  const Interruptible preparing(stop_signal);
  return prepare(config, options, folder);
}

RunSummary train_prepared(Prepared& prepared, const TrainingOptions& options, std::unique_ptr<Observer> observer) {
  const RunFolder& folder = prepared.folder;
  Trainer trainer(prepared, options);
  {
    const Interruptible loading(stop_signal);
    trainer.take_state();
    poll_interrupt();
  }
  io::make_folders(folder.checkpoints());
  checkpoint::remove_leftovers(folder.checkpoints());
  trainer.check_room();
  folder.try_out();
  prepared.info.parameters = trainer.parameter_count();
  record_run(prepared);
  if (!observer) observer = options.observe(folder.path());

  Observers observers;
  observers.add(std::move(observer));
  observers.add(std::make_unique<StatusWriter>(folder, prepared.info));
  const TimerScope timed(options.timer);
  return trainer.run(observers);
}

}  // namespace

RunSummary run_training(const config::Config& config, const TrainingOptions& options) {
  const SignalScope signals;
  const RunFolder folder(options.run);
  check<ConfigError>(!options.fresh || !folder.is_run(),
                     "[run] {} holds a run already and --fresh refuses to continue it\n"
                     "  hint: leave --fresh out to continue, or name another folder with --run DIR",
                     folder.path().string());
  set_thread_count(thread_count(config));
  check_buildable(config);
  try {
    const UnlessCreated cleanup(folder);
    const checkpoint::RunLock lock(folder.path());
    std::unique_ptr<Observer> observer;
    if (folder.is_run()) observer = options.observe(folder.path());
    Prepared prepared = prepare_interruptibly(config, options, folder);
    if (prepared.finished) return finished_before(prepared);
    return train_prepared(prepared, options, std::move(observer));
  } catch (const Interrupted& stop) {
    return stopped_early(folder.path(), stop.signal);
  }
}

}  // namespace longhaul::train
