#include "train/trainer/counters.h"

namespace longhaul::train {
namespace {

// One list of names serves both directions.
template <typename Self, typename Integer, typename Real>
void each(Self& c, Integer&& integer, Real&& real) {
  integer("steps", c.steps), integer("tokens", c.tokens), integer("skipped", c.skipped);
  integer("bad_in_row", c.bad_in_row), integer("taken_step", c.taken_step);
  integer("stage", c.stage), integer("stage_updates", c.stage_updates), integer("stage_tokens", c.stage_tokens);
  real("stage_epochs", c.stage_epochs);
  real("interval_nats", c.interval_nats), integer("interval_scored", c.interval_scored);
  integer("interval_tokens", c.interval_tokens);
  integer("logged_step", c.logged_step), real("logged_loss", c.logged_loss), real("logged_rate", c.logged_rate);
  real("logged_norm", c.logged_norm);
  integer("evaluation_pending", c.evaluation_pending), integer("evaluated_step", c.evaluated_step);
  real("valid_loss", c.valid_loss), real("valid_perplexity", c.valid_perplexity);
  real("valid_bits_per_byte", c.valid_bits_per_byte);
  real("valid_accuracy", c.valid_accuracy), real("valid_exact", c.valid_exact), real("valid_f1", c.valid_f1);
  integer("best_step", c.best_step), real("best_loss", c.best_loss);
}

template <typename Self, typename Real>
void each(Self& c, Real&& real) {
  real("seconds", c.seconds), real("interval_seconds", c.interval_seconds), real("logged_speed", c.logged_speed);
}

}  // namespace

void Counters::save_state(StateWriter& out) const {
  each(
      *this, [&](const char* name, int64_t value) { out.integer(name, value); },
      [&](const char* name, double value) { out.real(name, value); });
}

void Counters::load_state(StateReader& in) {
  each(
      *this, [&](const char* name, int64_t& value) { value = in.integer(name); },
      [&](const char* name, double& value) { value = in.real(name); });
}

void RunClock::save_state(StateWriter& out) const {
  each(*this, [&](const char* name, double value) { out.real(name, value); });
}

void RunClock::load_state(StateReader& in) {
  each(*this, [&](const char* name, double& value) { value = in.real(name); });
}

void CursorPart::save_state(StateWriter& out) const { out.text("cursor", cursor.to_json()); }

void CursorPart::load_state(StateReader& in) { cursor = data::DataCursor::from_json(in.text("cursor")); }

Progress progress_of(const Counters& counters, const RunClock& clock, const data::DataCursor& cursor) {
  return {.steps = counters.steps, .tokens = counters.tokens, .epochs = cursor.epochs(), .seconds = clock.seconds};
}

}  // namespace longhaul::train
