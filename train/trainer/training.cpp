#include "train/trainer/training.h"

#include "framework/base/error.h"
#include "framework/base/interrupt.h"
#include "framework/base/log.h"
#include "framework/base/threads.h"
#include "framework/base/units.h"
#include "framework/tensor/memory.h"
#include "train/trainer/from_config.h"
#include "train/trainer/prepare.h"
#include "train/trainer/resident.h"
#include "train/trainer/run_plan.h"
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

std::string bytes_text(int64_t bytes) { return units::approximate_bytes(static_cast<double>(bytes)); }

void tell_plan(const Plan& plan) {
  log::info("[memory] planned: {} of tensors, {} of the process; the budget is {}", bytes_text(plan.tensor_peak_bytes),
            bytes_text(plan.peak_bytes), bytes_text(plan.budget));
  if (!plan.fits()) {
    log::warn("[memory] the plan of {} is over the budget of {}\n  hint: longhaul plan CONFIG names what saves most",
              bytes_text(plan.peak_bytes), bytes_text(plan.budget));
  }
}

void tell_measured(const Plan& plan, Device device) {
  const int64_t tensors = device_memory(device).report().total_peak;
  log::info("[memory] measured: {} of tensors ({:+.1f} % against the plan), {} of the process", bytes_text(tensors),
            100 * (static_cast<double>(tensors) / static_cast<double>(plan.tensor_peak_bytes) - 1),
            bytes_text(peak_resident_bytes()));
}

RunSummary train_prepared(Prepared& prepared, const TrainingOptions& options, std::unique_ptr<Observer> observer) {
  const RunFolder& folder = prepared.folder;
  const RunPlan planned = plan_run(prepared.config, {.vocabulary = prepared.corpora.vocabulary()});
  check_kernels(planned);
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
  tell_plan(planned.plan);

  Observers observers;
  observers.add(std::move(observer));
  observers.add(std::make_unique<StatusWriter>(folder, prepared.info));
  const TimerScope timed(options.timer);
  const RunSummary summary = trainer.run(observers);
  tell_measured(planned.plan, device_of(prepared.config));
  return summary;
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
    const bool made = make_run_folder(folder);
    const checkpoint::RunLock lock(folder.path());
    const UnlessCreated cleanup(folder, made);
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
