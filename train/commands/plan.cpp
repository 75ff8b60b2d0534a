#include "train/commands/plan.h"

#include "train/config/load.h"
#include "train/plan/report.h"
#include "train/trainer/corpora.h"
#include "train/trainer/run_plan.h"

namespace longhaul::cli {
namespace {

// Ids of the tokenizer; one that would be trained to a given size is not trained for a plan.
int64_t vocabulary_of(const config::Config& config) {
  const data::TokenizerOptions& tokenizer = config.data.tokenizer;
  const bool sized =
      tokenizer.kind == data::TokenizerKind::kBpe || tokenizer.kind == data::TokenizerKind::kSentencePiece;
  if (sized && tokenizer.path.empty() && tokenizer.vocabulary_size > 0) {
    return data::planned_vocabulary(tokenizer, config.data.objective.wanted());
  }
  const auto objective = train::make_objective(config, train::make_tokenizer(config, config.run.init_from));
  return objective->tokenizer().vocabulary_size();
}

}  // namespace

int run_plan(const PlanOptions& options, Console& console) {
  config::Config config = config::load_config(options.config, options.set).config;
  train::resolve_labels(config);
  const train::PlanInputs inputs{.vocabulary = vocabulary_of(config)};
  const auto [plan, planned] = train::plan_run(config, inputs);
  const int64_t longest = train::longest_sequence(planned, inputs);
  const auto levers = train::find_levers(planned, inputs, plan);
  console.result(options.json ? train::plan_json(plan, longest, levers) : train::plan_text(plan, longest, levers));
  return 0;
}

}  // namespace longhaul::cli
