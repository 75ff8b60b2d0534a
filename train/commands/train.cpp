#include "train/commands/train.h"

#include <filesystem>

#include "framework/base/interrupt.h"
#include "framework/base/log.h"
#include "train/config/load.h"
#include "train/observe/profile.h"
#include "train/observe/recorders.h"
#include "train/observe/summary.h"
#include "train/trainer/dry_run.h"
#include "train/trainer/signals.h"
#include "train/trainer/training.h"

namespace longhaul::cli {
namespace {

log::Level level_of(const Console& console) {
  if (console.quiet()) return log::Level::kWarning;
  return console.verbose() ? log::Level::kDebug : log::Level::kInfo;
}

}  // namespace

int run_train(const TrainOptions& options, Console& console) {
  // Until the process has ended: a signal that comes late must not undo what the exit code says.
  [[maybe_unused]] static const auto* signals = new train::SignalScope;
  config::Config config = config::load_config(options.config, options.set).config;
  if (!options.init_from.empty()) config.run.init_from = std::filesystem::absolute(options.init_from).string();

  if (options.dry_run) {
    log::configure({.level = level_of(console), .color = console.color(), .file = ""});
    const Interruptible planning(train::stop_signal);
    console.result(train::dry_run(config, options.json));
    return 0;
  }

  train::Profile profile;
  train::TrainingOptions training;
  training.run = options.run.empty() ? io::Path("runs") / config.run.name : io::Path(options.run);
  training.fresh = options.fresh;
  training.strict = options.strict;
  training.profile = options.profile;
  if (options.profile > 0) training.timer = &profile;
  training.observe = [&console](const io::Path& run) {
    log::configure({.level = level_of(console), .color = console.color(), .file = (run / "log.txt").string()});
    return train::make_run_observers(run, console);
  };
  const train::RunSummary summary = train::run_training(config, training);
  console.end_progress();
  if (options.profile > 0) {
    const io::Path trace = training.run / "profile.json";
    profile.write_trace(trace);
    console.note(profile.table());
    console.note(fmt::format("[profile] trace for chrome://tracing or Perfetto in {}", trace.string()));
  }
  console.result(options.json ? train::summary_json(summary) : train::summary_text(summary));
  return summary.exit_code;
}

}  // namespace longhaul::cli
