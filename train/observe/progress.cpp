#include "train/observe/progress.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "framework/base/log.h"
#include "framework/base/units.h"
#include "train/observe/format.h"

namespace longhaul::train {
namespace {

constexpr double kLiveInterval = 0.2;       // seconds between two states of the live line
constexpr double kEvaluationInterval = 30;  // seconds between two lines about an evaluation where there is no live line

// The share of the run that is done, by whichever end is nearest; NaN when no end is known.
double share_done(const StepMetrics& now, const RunStart& start) {
  double share = kUnknown;
  const auto take = [&share](double done, double end) {
    if (end > 0) share = std::isnan(share) ? done / end : std::max(share, done / end);
  };
  take(static_cast<double>(now.step), static_cast<double>(start.last_step));
  take(static_cast<double>(now.tokens), static_cast<double>(start.last_tokens));
  take(now.seconds, start.last_seconds);
  return std::min(share, 1.0);
}

}  // namespace

std::string step_line(const StepMetrics& m) {
  std::string text =
      fmt::format("[train]  step {} | {} tokens | loss {:.4f} nats/token | grad {:.3g} | rate {:.3g}", m.step,
                  short_count(static_cast<double>(m.tokens)), m.loss, m.grad_norm, m.learning_rate);
  text += fmt::format(" | {} tokens/s | {}", grouped(m.tokens_per_second),
                      units::approximate_bytes(static_cast<double>(m.memory)));
  if (std::isfinite(m.remaining_seconds)) text += fmt::format(" | {} left", short_duration(m.remaining_seconds));
  if (m.skipped_steps > 0) text += fmt::format(" | {} skipped", m.skipped_steps);
  return text;
}

std::string live_line(const StepMetrics& m, const RunStart& start) {
  std::string text = fmt::format("step {}", m.step);
  if (start.last_step > 0) text += fmt::format("/{}", start.last_step);
  const double share = share_done(m, start);
  if (std::isfinite(share)) text += fmt::format(" {:.0f} %", std::floor(100 * share));
  text += fmt::format(" | loss {:.4f} | {} tokens/s | {}", m.loss, grouped(m.tokens_per_second),
                      units::approximate_bytes(static_cast<double>(m.memory)));
  if (std::isfinite(m.remaining_seconds)) text += fmt::format(" | {} left", short_duration(m.remaining_seconds));
  return text.substr(0, 100);
}

double ProgressObserver::steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

ProgressObserver::ProgressObserver(cli::Console& console, Clock clock) : console_(console), clock_(std::move(clock)) {}

void ProgressObserver::line(const std::string& text) {
  // With --verbose the log shows its debug lines on standard error itself.
  if (console_.verbose()) {
    console_.end_progress();
  } else {
    console_.note(text);
  }
  log::debug("{}", text);
}

void ProgressObserver::on_start(const RunStart& event) {
  start_ = event;
  std::string text = fmt::format("[run] {} in {}: {} parameters, {} on {}, {} thread{}", event.name, event.folder,
                                 short_count(static_cast<double>(event.parameters)), event.precision, event.device,
                                 event.threads, event.threads == 1 ? "" : "s");
  if (event.step > 0) text += fmt::format("; continues after step {}", event.step);
  line(text);
}

void ProgressObserver::on_step(const StepMetrics& event) {
  if (!console_.live()) return;
  if (std::isnan(shown_.loss)) shown_ = event;
  StepMetrics live = event;
  live.loss = shown_.loss;  // means of the last log interval: single steps jump
  live.tokens_per_second = shown_.tokens_per_second;
  const double now = clock_();
  if (now < next_live_) return;
  next_live_ = now + kLiveInterval;
  console_.progress(live_line(live, start_));
}

void ProgressObserver::on_log(const StepMetrics& event) {
  shown_ = event;
  if (console_.live()) {
    console_.progress(live_line(event, start_));
    if (console_.verbose()) console_.end_progress();
    log::debug("{}", step_line(event));
  } else {
    line(step_line(event));
  }
}

void ProgressObserver::on_evaluating(const EvaluationProgress& event) {
  const double now = clock_();
  const std::string text =
      fmt::format("[eval]   step {} | {} of {} {} tokens, {:.0f} %", event.step, event.scored, event.tokens,
                  event.split, 100 * static_cast<double>(event.scored) / static_cast<double>(event.tokens));
  if (console_.live()) {
    if (now < next_live_) return;
    next_live_ = now + kLiveInterval;
    console_.progress(text);
    return;
  }
  if (evaluating_since_ < 0) evaluating_since_ = now;
  if (now - evaluating_since_ < kEvaluationInterval) return;
  evaluating_since_ = now;
  line(text);
}

void ProgressObserver::on_evaluation(const EvaluationMetrics& m) {
  evaluating_since_ = -1;
  const char* mark = console_.color() && !console_.verbose() ? "\x1b[36m[eval]\x1b[0m  " : "[eval]  ";
  std::string text =
      fmt::format(" step {} | {} loss {:.4f} nats/token | perplexity {:.4g}", m.step, m.split, m.loss, m.perplexity);
  if (std::isfinite(m.accuracy)) text += fmt::format(" | accuracy {:.4f}", m.accuracy);
  if (std::isfinite(m.exact)) text += fmt::format(" | exact {:.4f} | f1 {:.4f}", m.exact, m.f1);
  if (std::isfinite(m.bits_per_byte)) text += fmt::format(" | {:.4f} bits/byte", m.bits_per_byte);
  text += fmt::format(" | {} tokens in {}", short_count(static_cast<double>(m.tokens)), short_duration(m.seconds));
  if (m.averaged) text += " | averaged weights";
  if (m.best) text += " | best";
  if (console_.verbose()) {
    console_.end_progress();
  } else {
    console_.note(mark + text);
  }
  log::debug("[eval]  {}", text);
}

void ProgressObserver::on_checkpoint(const SavedCheckpoint& event) {
  if (console_.verbose()) console_.end_progress();
  log::debug("[save]   {} | {} in {:.2f} s", event.folder, units::approximate_bytes(static_cast<double>(event.bytes)),
             event.seconds);
}

void ProgressObserver::on_end(const RunSummary&) { console_.end_progress(); }

}  // namespace longhaul::train
