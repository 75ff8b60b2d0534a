// What a trainer evaluates between its steps and at its end, and what it remembers of that.
#include "framework/base/error.h"
#include "train/trainer/evaluation.h"
#include "train/trainer/signals.h"
#include "train/trainer/trainer.h"

namespace longhaul::train {

// Nothing when a stop was asked for before the evaluation was over.
std::optional<EvaluationResult> Trainer::evaluate(const data::Split& split) {
  const Stage& stage = stages_[static_cast<size_t>(counters_.stage)];
  try {
    auto result = evaluate_split(config_, stage, *trainee_, *prepared_.corpora.objective, split, [&](int64_t scored, int64_t of) {
      observer_->on_evaluating({.step = counters_.steps, .split = split.name, .scored = scored, .tokens = of});
    });
    tick();
    return result;
  } catch (const Error&) {
    counters_.evaluation_pending = 1;  // the steps are not lost with it
    save(true);
    throw;
  }
}

EvaluationMetrics Trainer::told(const EvaluationResult& result, const char* split, bool best) const {
  return {.step = counters_.steps,
          .tokens_seen = counters_.tokens,
          .split = split,
          .loss = result.loss(),
          .perplexity = result.perplexity(),
          .bits_per_byte = result.bits_per_byte().value_or(kUnknown),
          .word_perplexity = result.word_perplexity().value_or(kUnknown),
          .accuracy = result.accuracy.value_or(kUnknown),
          .exact = result.exact.value_or(kUnknown),
          .f1 = result.f1.value_or(kUnknown),
          .tokens = result.tokens,
          .seconds = result.seconds,
          .best = best,
          .averaged = trainee_->average() != nullptr};
}

// False when a stop was asked for before the evaluation was over.
bool Trainer::evaluate_now() {
  if (!prepared_.corpora.valid) {  // pending for the sake of data.test
    counters_.evaluation_pending = 0;
    return true;
  }
  const auto result = evaluate(*prepared_.corpora.valid);
  if (!result) return false;
  counters_.evaluation_pending = 0;
  counters_.evaluated_step = counters_.steps;
  counters_.valid_loss = result->loss();
  counters_.valid_perplexity = result->perplexity();
  counters_.valid_bits_per_byte = result->bits_per_byte().value_or(kUnknown);
  counters_.valid_accuracy = result->accuracy.value_or(kUnknown);
  counters_.valid_exact = result->exact.value_or(kUnknown);
  counters_.valid_f1 = result->f1.value_or(kUnknown);
  const bool best = counters_.valid_loss < counters_.best_loss;
  if (best) {
    counters_.best_loss = counters_.valid_loss;
    counters_.best_step = counters_.steps;
  }
  observer_->on_evaluation(told(*result, "valid", best));
  if (best && config_.train.checkpoint.best && !ending_.reached(progress())) save(false);  // the end has a save of its own
  return true;
}

// The evaluation at the end of a run. False when a stop was asked for before it was over: the next session then makes
// both evaluations of this step, whose line in metrics.jsonl is written again.
bool Trainer::evaluate_test() {
  if (!prepared_.corpora.test) return true;
  if (stop_signal() == 0) test_ = evaluate(*prepared_.corpora.test);
  if (!test_) {
    counters_.evaluation_pending = 1;
    return false;
  }
  observer_->on_evaluation(told(*test_, "test", false));
  return true;
}

}  // namespace longhaul::train
