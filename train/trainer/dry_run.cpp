#include "train/trainer/dry_run.h"

#include <nlohmann/json.hpp>

#include "data/sampler/batches.h"
#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "train/plan/plan.h"
#include "train/plan/report.h"
#include "train/trainer/corpora.h"
#include "train/trainer/from_config.h"
#include "train/trainer/prepare.h"
#include "train/trainer/stages.h"

namespace longhaul::train {
namespace {

void check_kernels(const Plan& plan, Device device) {
  if (plan.missing_kernels.empty()) return;
  std::string names;
  for (const std::string& kernel : plan.missing_kernels) names += "\n  " + kernel;
  fail<ConfigError>("[device] {} lacks kernels this run needs:{}\n  hint: choose another run.precision or run.device", name_of(device), names);
}

}  // namespace

std::string dry_run(const config::Config& given, bool json) {
  config::Config config = given;
  set_thread_count(thread_count(config));
  check_buildable(config);
  const Device device = device_of(config);
  resolve_labels(config);
  const Corpora corpora = open_corpora(config, make_tokenizer(config, config.run.init_from));
  const PlanInputs inputs{.vocabulary = corpora.vocabulary()};

  Plan largest;  // of the stage that needs most memory
  config::Config decisive = config;
  for (const Stage& stage : stages_of(config)) {
    const config::Config one = config_of(config, stage);
    const Plan plan = make_plan(one, inputs);
    check_kernels(plan, device);
    if (plan.peak_bytes > largest.peak_bytes) largest = plan, decisive = one;
  }
  const auto model = models::make_any_model(model_spec(config, inputs.vocabulary), static_cast<uint64_t>(config.run.seed), device);
  const data::TrainingBatches batches = training_batches(config, corpora, config.data.sequence_length);
  const data::Batch batch = batches.read(0, config.train.batch_size);

  const int64_t longest = longest_sequence(decisive, inputs);
  const auto levers = find_levers(decisive, inputs, largest);
  if (!json) {
    return plan_text(largest, longest, levers) +
           fmt::format("\nfirst batch: {} sequences of {} tokens, {} targets; {} samples an epoch\nnothing was created or trained", batch.tokens.size(0), batch.tokens.size(1),
                       batch.scored, batches.samples_per_epoch());
  }
  auto report = nlohmann::ordered_json::parse(plan_json(largest, longest, levers));
  report["batch"] = {{"sequences", batch.tokens.size(0)}, {"length", batch.tokens.size(1)}, {"targets", batch.scored}, {"samples_per_epoch", batches.samples_per_epoch()}};
  return report.dump();
}

}  // namespace longhaul::train
