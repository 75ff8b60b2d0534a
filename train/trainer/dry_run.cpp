#include "train/trainer/dry_run.h"

#include <nlohmann/json.hpp>

#include "data/sampler/batches.h"
#include "framework/base/threads.h"
#include "train/plan/report.h"
#include "train/trainer/corpora.h"
#include "train/trainer/from_config.h"
#include "train/trainer/prepare.h"
#include "train/trainer/run_plan.h"

namespace longhaul::train {

std::string dry_run(const config::Config& given, bool json) {
  config::Config config = given;
  set_thread_count(thread_count(config));
  check_buildable(config);
  const Device device = device_of(config);
  resolve_labels(config);
  const Corpora corpora = open_corpora(config, make_tokenizer(config, config.run.init_from));
  const PlanInputs inputs{.vocabulary = corpora.vocabulary()};
  const RunPlan planned = plan_run(config, inputs);
  check_kernels(planned);
  const auto model = models::make_any_model(model_spec(config, inputs.vocabulary), static_cast<uint64_t>(config.run.seed), device);
  const data::TrainingBatches batches = training_batches(config, corpora, config.data.sequence_length);
  const data::Batch batch = batches.read(0, config.train.batch_size);

  const int64_t longest = longest_sequence(planned.config, inputs);
  const auto levers = find_levers(planned.config, inputs, planned.plan);
  if (!json) {
    return plan_text(planned.plan, longest, levers) + fmt::format(
                                                          "\nfirst batch: {} sequences of {} tokens, {} targets; {} "
                                                          "samples an epoch\nnothing was created or trained",
                                                          batch.tokens.size(0), batch.tokens.size(1), batch.scored,
                                                          batches.samples_per_epoch());
  }
  auto report = nlohmann::ordered_json::parse(plan_json(planned.plan, longest, levers));
  report["batch"] = {{"sequences", batch.tokens.size(0)},
                     {"length", batch.tokens.size(1)},
                     {"targets", batch.scored},
                     {"samples_per_epoch", batches.samples_per_epoch()}};
  return report.dump();
}

}  // namespace longhaul::train
