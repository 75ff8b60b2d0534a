#include "train/trainer/trainer.h"

#include <cmath>
#include <csignal>

#include "framework/base/error.h"
#include "framework/base/log.h"
#include "framework/tensor/memory.h"
#include "train/config/load.h"
#include "train/trainer/from_config.h"
#include "train/trainer/model_batch.h"
#include "train/trainer/resident.h"
#include "train/trainer/signals.h"

namespace longhaul::train {

Trainer::Trainer(const Prepared& prepared, const TrainingOptions& options)
    : prepared_(prepared),
      config_(prepared.config),
      options_(options),
      stages_(stages_of(config_)),
      ending_(ending_of(config_)) {
  trainee_.emplace(config_, prepared.corpora.vocabulary(), stages_[0], config_.train.micro_batch);
  trainee_->set_probe(options_.probe);
  for (checkpoint::StateRegistry* registry : {&parts_, &timeless_}) {
    trainee_->add_parts(*registry);
    registry->add("data", checkpoint::Section::kState, cursor_);
    registry->add("counters", checkpoint::Section::kState, counters_);
  }
  parts_.add("clock", checkpoint::Section::kState, clock_);
  saver_.emplace(prepared, parts_);
}

void Trainer::take_state() {
  if (prepared_.from) {
    checkpoint::load_checkpoint(prepared_.from->folder, parts_);
    const int at = static_cast<int>(counters_.stage);
    check<CheckpointError>(at >= 0 && at < static_cast<int>(stages_.size()),
                           "[resume] {} is in stage {}, the configuration has {} stages",
                           prepared_.from->folder.string(), at, stages_.size());
    enter_stage(at);
    cursor_.cursor.check_fits(*batches_);
    return;
  }
  if (!prepared_.init_from.empty()) {
    trainee_->take_weights(prepared_.init_from);
    log::info("[init] weights of {}", prepared_.init_from.string());
  }
  enter_stage(0);
  cursor_.cursor = data::DataCursor::start(*batches_);
}

bool Trainer::holds_weights_before(int64_t step) const {
  return counters_.steps >= step && counters_.taken_step < step;
}

StepOutcome Trainer::replay(int64_t step, int64_t first_sample) {
  if (counters_.steps >= step) {
    counters_.steps = step - 1;
    cursor_.cursor.samples = first_sample;
  }
  ticked_ = Clock::now();
  while (counters_.steps < step) take_step();
  return last_;
}

// Makes model and samples those of a stage; what the counters and the cursor say is left alone.
void Trainer::enter_stage(int index) {
  const Stage& stage = stages_[static_cast<size_t>(index)];
  trainee_->enter(stage);
  batches_.emplace(training_batches(config_, prepared_.corpora, stage.sequence_length));
}

void Trainer::cut_files() {
  const RunFolder& folder = prepared_.folder;
  // A step whose evaluation is still to be made has its line written again, with the evaluation.
  checkpoint::cut_lines(folder.metrics(), counters_.steps - counters_.evaluation_pending);
  checkpoint::cut_lines(folder.journal(), counters_.steps);
  journal_.emplace(folder.journal());
  check<CheckpointError>(journal_->last_step() == counters_.steps,
                         "[resume] {} ends at step {}, the checkpoint is of step {}\n"
                         "  hint: the journal was cut or replaced; bring it back or start a new run",
                         folder.journal().string(), journal_->last_step(), counters_.steps);
}

RunSummary Trainer::run(Observer& observer) {
  observer_ = &observer;
  cut_files();
  observer.on_start(start_event());
  ticked_ = Clock::now();
  if (counters_.evaluation_pending != 0 && counters_.logged_step == counters_.steps && counters_.steps > 0) {
    StepMetrics again = metrics(counters_.logged_loss, clock_.logged_speed);
    again.learning_rate = counters_.logged_rate;
    again.grad_norm = counters_.logged_norm;
    observer.on_log(again);
  }
  const Exit exit = loop();
  const RunSummary result = summary(exit);
  observer.on_end(result);
  if (exit == Exit::kGuard) throw GuardError(guard_message_);
  return result;
}

Trainer::Exit Trainer::loop() {
  while (true) {
    const bool over = ending_.reached(progress());
    if (over) close_off();
    if (counters_.evaluation_pending != 0 && stop_signal() == 0) evaluate_now();
    if (over && counters_.evaluation_pending == 0 && evaluate_test()) return save(true), Exit::kFinished;
    if (stop_signal() != 0) return save(true), Exit::kSignal;
    if (options_.profile > 0 && session_steps_ >= options_.profile) return save(true), Exit::kProfiled;
    if (take_save_request() || saver_->owes()) save(false);
    const Progress before = progress();
    take_step();
    const bool guarded = counters_.bad_in_row >= config_.train.max_bad_steps;
    if (guarded) counters_.bad_in_row = 0;  // the next session has all its attempts again, whichever save it goes on from
    after_step(before);
    if (guarded) return save(true), Exit::kGuard;
  }
}

// The last log line and evaluation of a run, wherever its periods stand.
void Trainer::close_off() {
  if (counters_.logged_step != counters_.steps) write_log();
  if (prepared_.corpora.valid && counters_.evaluated_step != counters_.steps) counters_.evaluation_pending = 1;
}

double Trainer::learning_rate(int64_t read) const {
  const Stage& stage = stages_[static_cast<size_t>(counters_.stage)];
  const bool staged = stages_.size() > 1 || !config_.train.stages.empty();
  const int64_t whole = ending_.steps > 0 ? ending_.steps : 0;
  const optim::Schedule schedule =
      schedule_of(config_.train.schedule, staged ? stage.steps : whole, staged ? 0 : config_.train.tokens);
  const auto batch = static_cast<double>(stage.batch_size);
  const double epochs_per_step = batch / static_cast<double>(batches_->samples_per_epoch());
  const auto batches = static_cast<double>(batches_of(counters_.steps));
  // Skipped steps move the data but not the schedule.
  const Progress now{.steps = trainee_->optimizer().updates() - counters_.stage_updates + 1,
                     .tokens = counters_.tokens - counters_.stage_tokens + read,
                     .epochs = cursor_.cursor.epochs() - counters_.stage_epochs + batches * epochs_per_step,
                     .seconds = clock_.seconds};
  const Progress per_step{
      .steps = 1, .tokens = batches_of(counters_.steps) * stage.batch_size * batches_->sequence_length(), .epochs = batches * epochs_per_step, .seconds = 0};
  return stage.learning_rate * optim::schedule_factor(schedule, now, per_step);
}

int64_t Trainer::batches_of(int64_t steps) const {
  return steps < config_.train.accumulate.after ? 1 : config_.train.accumulate.batches;
}

void Trainer::take_step() {
  const int stage = stage_at(stages_, counters_.steps);
  if (stage != counters_.stage) {
    enter_stage(stage);
    if (batches_->sequence_length() != cursor_.cursor.sequence_length) {
      cursor_.cursor = cursor_.cursor.moved_to(*batches_);
    }
    counters_.stage = stage;
    counters_.stage_updates = trainee_->optimizer().updates();
    counters_.stage_tokens = counters_.tokens;
    counters_.stage_epochs = cursor_.cursor.epochs();
    log::info("[stage]  {} of {} begins at step {}", stage + 1, stages_.size(), counters_.steps + 1);
  }
  const auto begin = Clock::now();
  models::SegmentMemory* memory = trainee_->memory();
  const Device device = trainee_->model().device();
  StepInput input;
  input.step = counters_.steps + 1;
  StepRead read{.first = cursor_.cursor.samples};
  int64_t samples = cursor_.cursor.samples;
  for (int64_t i = 0; i < batches_of(counters_.steps); ++i) {
    const data::Batch batch = batches_->read(samples, stages_[static_cast<size_t>(stage)].batch_size);
    samples += static_cast<int64_t>(batch.rows.size());
    read.tokens += batch.read;
    input.scored += batch.scored;
    if (i == 0) {
      if (!batch.rows.empty()) read.first = batch.rows.front();
      if (memory && batch.begins_streams) memory->reset();
      input.batch = model_batch(batch, device, memory);
    } else {
      input.following.push_back({model_batch(batch, device, memory), batch.begins_streams});
    }
  }
  read.scored = input.scored;
  input.learning_rate = learning_rate(read.tokens);
  read.samples = samples - cursor_.cursor.samples;
  input.gauged = will_log(read);
  last_ = trainee_->step().run(input);
  cursor_.cursor.samples = samples;
  count(last_, read, input.learning_rate, std::chrono::duration<double>(Clock::now() - begin).count());
}

// Whether a log line follows the step that reads so much, as far as that is known before: of a period in seconds it is not, so each
// of its steps is taken for one.
bool Trainer::will_log(const StepRead& read) const {
  const units::Period& period = config_.train.log_every;
  if (period.unit == units::Period::Unit::kSecond) return !period.off();
  CursorPart after = cursor_;
  after.cursor.samples += read.samples;
  Counters counted = counters_;
  ++counted.steps;
  counted.tokens += read.tokens;
  const units::Progress then = progress_of(counted, clock_, after.cursor);
  return period.due(progress(), then) || ending_.reached(then);
}

void Trainer::count(const StepOutcome& outcome, const StepRead& read, double rate, double seconds) {
  ++counters_.steps;
  counters_.tokens += read.tokens;
  counters_.interval_tokens += read.tokens;
  clock_.interval_seconds += seconds;
  session_seconds_ += seconds;
  session_tokens_ += read.tokens;
  ++session_steps_;
  last_rate_ = rate;
  tick();
  if (!outcome.skipped) {
    counters_.bad_in_row = 0;
    counters_.taken_step = counters_.steps;
    counters_.interval_nats += outcome.loss * static_cast<double>(read.scored);
    counters_.interval_scored += read.scored;
    return;
  }
  ++counters_.skipped;
  ++counters_.bad_in_row;
  log::warn("[guard]  step {}: {}; skipped ({} of {} in a row), samples {}..{}", counters_.steps, outcome.reason,
            counters_.bad_in_row, config_.train.max_bad_steps, read.first, cursor_.cursor.samples - 1);
  guard_message_ = fmt::format(
      "[guard] step {}: {}, the last of {} such steps in a row; none of them changed the weights\n"
      "  the state before them is saved in {}; `longhaul replay {} --step {}` takes the step again\n"
      "  hint: a lower train.optimizer.learning_rate or train.clip_norm, or f32 instead of bf16, are the usual cures",
      counters_.steps, outcome.reason, counters_.bad_in_row, prepared_.folder.checkpoints().string(),
      prepared_.folder.path().string(), counters_.steps);
}

void Trainer::journal_step(double loss) {
  checkpoint::JournalEntry entry{
      .step = counters_.steps, .loss = loss, .cursor = cursor_.cursor.samples, .state_hash = {}};
  if (config_.run.hash_every > 0 && counters_.steps % config_.run.hash_every == 0) {
    entry.state_hash = checkpoint::capture(timeless_).hash();
  }
  journal_->append(entry);
}

// The order is part of the format: what a checkpoint of this step holds does not depend on who asked for it.
void Trainer::after_step(const Progress& before) {
  const Progress now = progress();
  if (prepared_.corpora.valid && config_.train.eval_every.due(before, now)) counters_.evaluation_pending = 1;
  journal_step(last_.loss);
  StepMetrics step = metrics(last_.loss, 0);
  step.tokens_per_second = session_seconds_ > 0 ? static_cast<double>(session_tokens_) / session_seconds_ : 0;
  observer_->on_step(step);
  if (config_.train.log_every.due(before, now)) write_log();
  if (counters_.evaluation_pending != 0 && !evaluate_now()) return;
  // The last step is saved when its evaluations are made, so that the checkpoint knows of them.
  if (config_.train.checkpoint.every.due(before, now) && !ending_.reached(progress())) save(false);
}

void Trainer::write_log() {
  const double loss = counters_.interval_scored > 0
                          ? counters_.interval_nats / static_cast<double>(counters_.interval_scored)
                          : kUnknown;
  const double speed =
      clock_.interval_seconds > 0 ? static_cast<double>(counters_.interval_tokens) / clock_.interval_seconds : 0;
  observer_->on_log(metrics(loss, speed));
  counters_.logged_step = counters_.steps;
  counters_.logged_loss = loss;
  counters_.logged_rate = last_rate_;
  counters_.logged_norm = last_.grad_norm;
  clock_.logged_speed = speed;
  counters_.interval_nats = 0;
  counters_.interval_scored = counters_.interval_tokens = 0;
  clock_.interval_seconds = 0;
}

void Trainer::save(bool must) {
  tick();
  if (saver_->saved_step() == counters_.steps) return;
  observer_->flush();
  journal_->sync();
  const auto saved = saver_->save(counters_, cursor_.cursor.samples, must);
  if (saved) observer_->on_checkpoint(*saved);
  tick();
}

void Trainer::tick() {
  const auto now = Clock::now();
  clock_.seconds += std::chrono::duration<double>(now - ticked_).count();
  ticked_ = now;
}

StepMetrics Trainer::metrics(double loss, double speed) const {
  const double step_seconds = session_steps_ > 0 ? session_seconds_ / static_cast<double>(session_steps_) : 0;
  const double session_speed = session_seconds_ > 0 ? static_cast<double>(session_tokens_) / session_seconds_ : 0;
  return {.step = counters_.steps,
          .tokens = counters_.tokens,
          .epoch = cursor_.cursor.epochs(),
          .loss = loss,
          .learning_rate = last_rate_,
          .grad_norm = last_.grad_norm,
          .tokens_per_second = speed,
          .memory = device_memory(trainee_->model().device()).report().total_peak,
          .seconds = clock_.seconds,
          .remaining_seconds = ending_.remaining(progress(), step_seconds, session_speed),
          .skipped_steps = counters_.skipped,
          .skipped = last_.skipped,
          .stage = static_cast<int>(counters_.stage),
          .gauges = last_.gauges};
}

RunSummary Trainer::summary(Exit exit) const {
  RunSummary out;
  out.steps = counters_.steps;
  out.tokens = counters_.tokens;
  out.seconds = clock_.seconds;
  out.train_loss = counters_.logged_loss;
  out.valid_loss = counters_.valid_loss;
  out.valid_perplexity = counters_.valid_perplexity;
  out.bits_per_byte = counters_.valid_bits_per_byte;
  if (test_) {
    out.test_loss = test_->loss();
    out.test_perplexity = test_->perplexity();
    out.test_bits_per_byte = test_->bits_per_byte().value_or(kUnknown);
  }
  out.accuracy = counters_.valid_accuracy;
  out.exact = counters_.valid_exact;
  out.f1 = counters_.valid_f1;
  out.tokens_per_second = session_seconds_ > 0 ? static_cast<double>(session_tokens_) / session_seconds_ : 0;
  out.peak_memory_bytes = peak_resident_bytes();
  out.run = prepared_.folder.path().string();
  switch (exit) {
    case Exit::kFinished:
      out.status = "finished";
      break;
    case Exit::kGuard:
      out.status = "guard";
      break;
    case Exit::kSignal:
      out.exit_code = 128 + stop_signal();
      [[fallthrough]];
    case Exit::kProfiled:
    case Exit::kNone:
      out.status = "stopped";
      break;
  }
  if (exit == Exit::kGuard) out.exit_code = static_cast<int>(ErrorKind::kGuard);
  return out;
}

RunStart Trainer::start_event() const {
  return {.name = config_.run.name,
          .folder = prepared_.folder.path().string(),
          .config = config::resolved_yaml(config_),
          .device = prepared_.info.device,
          .precision = prepared_.info.precision,
          .threads = static_cast<int>(prepared_.info.threads),
          .parameters = trainee_->model().parameter_count(),
          .step = counters_.steps,
          .tokens = counters_.tokens,
          .seconds = clock_.seconds,
          .last_step = ending_.steps,
          .last_tokens = ending_.tokens,
          .last_seconds = ending_.seconds};
}

}  // namespace longhaul::train
