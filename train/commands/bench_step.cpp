#include "train/commands/bench_step.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "data/sampler/batches.h"
#include "framework/base/error.h"
#include "framework/base/threads.h"
#include "framework/base/units.h"
#include "framework/tensor/memory.h"
#include "train/commands/device.h"
#include "train/commands/median.h"
#include "train/commands/open_model.h"
#include "train/config/load.h"
#include "train/generate/generate.h"
#include "train/observe/format.h"
#include "train/plan/plan.h"
#include "train/trainer/corpora.h"
#include "train/trainer/from_config.h"
#include "train/trainer/model_batch.h"
#include "train/trainer/resident.h"
#include "train/trainer/stages.h"
#include "train/trainer/trainee.h"

namespace longhaul::cli {
namespace {

constexpr int64_t kWarmUpSteps = 2;  // the first makes the optimizer's state, the second fills caches

// The configuration with the flags of the command over it.
config::Config configuration(const BenchOptions& options) {
  config::Config config = config::load_config(options.target, options.set).config;
  if (options.device.device != "auto") config.run.device = options.device.device;
  if (options.device.threads > 0) config.run.threads = options.device.threads;
  set_thread_count(config.run.threads);
  return config;
}

}  // namespace

int run_bench_step(const BenchOptions& options, Console& console) {
  config::Config config = configuration(options);
  train::resolve_labels(config);
  const auto stages = train::stages_of(config);
  const train::Corpora corpora = train::open_corpora(config, train::make_tokenizer(config, config.run.init_from));
  const int64_t vocabulary = corpora.vocabulary();
  const int64_t micro_batch = config.train.micro_batch > 0
                                  ? config.train.micro_batch
                                  : train::largest_micro_batch(config, {.vocabulary = vocabulary});
  const data::TrainingBatches batches = train::training_batches(config, corpora, config.data.sequence_length);
  const train::Trainee trainee(config, vocabulary, stages[0], micro_batch);
  std::vector<double> seconds;
  double loss = 0, tokens = 0;
  for (int64_t step = 1; step <= kWarmUpSteps + options.steps; ++step) {
    const auto start = std::chrono::steady_clock::now();
    const data::Batch batch = batches.read((step - 1) * config.train.batch_size, config.train.batch_size);
    const train::StepOutcome outcome = trainee.step().run({.batch = train::model_batch(batch, trainee.model().device()),
                                                           .scored = batch.scored,
                                                           .step = step,
                                                           .learning_rate = config.train.optimizer.learning_rate});
    check<GuardError>(!outcome.skipped, "[bench] step {} was skipped: {}", step, outcome.reason);
    loss = outcome.loss;
    const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (step > kWarmUpSteps) seconds.push_back(took), tokens += static_cast<double>(batch.read);
    console.progress(fmt::format("[bench] step {}: {:.3f} s, loss {:.4f}", step, took, loss));
  }
  console.end_progress();
  const double middle = median(seconds);
  tokens /= static_cast<double>(options.steps);  // of one step
  const MemoryReport memory = device_memory(trainee.model().device()).report();
  nlohmann::ordered_json json;
  json["step_seconds"] = middle;
  json["step_seconds_min"] = *std::min_element(seconds.begin(), seconds.end());
  json["step_seconds_max"] = *std::max_element(seconds.begin(), seconds.end());
  json["tokens_per_second"] = tokens / middle;
  json["peak_rss_bytes"] = train::peak_resident_bytes();
  json["tensor_peak_bytes"] = memory.total_peak;
  json["device_peak_bytes"] = memory.reserved;
  json["parameters"] = trainee.model().parameter_count();
  json["loss"] = loss;
  json["steps"] = options.steps;
  json["micro_batch"] = micro_batch;
  json["threads"] = thread_count();
  if (options.json) {
    console.result(json.dump());
  } else {
    console.result(
        fmt::format("{:.4f} s a step ({:.4f} to {:.4f}, {} steps), {} tokens/s, loss {:.4f}\n"
                    "{} parameters, peak {} resident, {} of tensors",
                    middle, json["step_seconds_min"].get<double>(), json["step_seconds_max"].get<double>(),
                    options.steps, train::grouped(tokens / middle), loss,
                    train::short_count(static_cast<double>(trainee.model().parameter_count())),
                    units::approximate_bytes(json["peak_rss_bytes"].get<double>()),
                    units::approximate_bytes(static_cast<double>(memory.total_peak))));
  }
  return 0;
}

namespace {

/// The specification with a position table for `tokens` tokens: a benchmark of a configuration builds what it is asked
/// for.
models::ModelSpec with_room(models::ModelSpec spec, int64_t tokens) {
  if (spec.options->body.max_positions >= tokens) return spec;
  const auto longer = models::find_family(spec.family)->copy(*spec.options);
  longer->body.max_positions = tokens;
  spec.options = longer;
  return spec;
}

/// A trained table cannot grow, and a shorter context would be another measurement.
void check_room(const models::ModelSpec& spec, int64_t tokens) {
  const models::BodyOptions& body = spec.options->body;
  const bool table = body.positions != models::Positions::kRotary && body.positions != models::Positions::kNone;
  check<ConfigError>(!table || body.max_positions >= tokens,
                     "[bench] {} tokens are asked for, the model's position table has {} rows\n"
                     "  hint: a smaller --context or --new",
                     tokens, body.max_positions);
}

}  // namespace

int run_bench_generate(const BenchOptions& options, Console& console) {
  OpenedModel opened;
  if (io::info_followed(options.target).kind == io::Kind::kFolder) {
    opened = open_model(options.target, prepare_device(options.device));
  } else {
    opened.config = configuration(options);
    const auto tokenizer = train::make_tokenizer(opened.config, opened.config.run.init_from);
    opened.compute = train::compute_dtype(opened.config);
    const models::ModelSpec spec = train::model_spec(opened.config, tokenizer->vocabulary_size());
    opened.model = models::make_model(with_room(spec, options.context + options.fresh),
                                      static_cast<uint64_t>(opened.config.run.seed), train::device_of(opened.config));
  }
  check_room(opened.model->spec(), options.context + options.fresh);
  train::GenerateRequest request;
  const RandomStream random{.seed = 1, .step = 0, .layer = 0, .purpose = RandomPurpose::kTest};
  const auto vocabulary = static_cast<uint32_t>(opened.model->spec().vocabulary);
  for (int64_t i = 0; i < options.context; ++i) {
    request.prompt.push_back(static_cast<int32_t>(random.word(static_cast<uint64_t>(i)) % vocabulary));
  }
  request.max_new = options.fresh;
  request.sampling.temperature = 0;
  request.compute = opened.compute;
  const train::Generation made = train::generate(*opened.model, request);
  // The first token comes with the prompt; the rest is decoding.
  const double rate = options.fresh > 1 ? static_cast<double>(options.fresh - 1) / made.seconds : 0;
  nlohmann::ordered_json json;
  json["prefill_seconds"] = made.prefill_seconds;
  json["tokens_per_second"] = rate;
  json["context"] = options.context;
  json["new"] = options.fresh;
  json["peak_rss_bytes"] = train::peak_resident_bytes();
  json["threads"] = thread_count();
  console.result(options.json ? json.dump()
                              : fmt::format("{} tokens read in {:.3f} s, {} made at {} tokens/s", options.context,
                                            made.prefill_seconds, options.fresh, train::grouped(rate)));
  return 0;
}

}  // namespace longhaul::cli
