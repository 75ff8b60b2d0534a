#include "train/trainer/prepare.h"

#include <longhaul_version.h>

#include <algorithm>

#include "framework/base/error.h"
#include "framework/base/log.h"
#include "framework/checkpoint/folders.h"
#include "framework/tensor/memory.h"
#include "models/exchange/exchange.h"
#include "train/config/load.h"
#include "train/config/resume.h"
#include "train/trainer/ending.h"
#include "train/trainer/from_config.h"
#include "train/trainer/micro_batch.h"
#include "train/trainer/stages.h"

namespace longhaul::train {
namespace {

// Before the tokenizer is known: more ids than any has, so that what depends on their number is judged when it is known.
constexpr int64_t kAnyVocabulary = int64_t{1} << 30;

RunInfo new_info(const config::Config& config, const Corpora& corpora) {
  RunInfo info;
  info.name = config.run.name;
  info.seed = config.run.seed;
  info.micro_batch = config.train.micro_batch;
  info.tokenizer_hash = corpora.tokenizer->hash_hex();
  info.splits = split_infos(corpora);
  return info;
}

// What this process is, which may differ between the sessions of a run.
void describe_session(RunInfo& info, const config::Config& config) {
  info.version = LONGHAUL_VERSION;
  info.revision = LONGHAUL_REVISION;
  info.device = name_of(device_of(config));
  info.precision = name_of(compute_dtype(config));
  info.threads = thread_count(config);
  info.status = "running";
  ++info.sessions;
}

/// The tokenizer that belongs to a model, empty where nothing says which.
std::string tokenizer_hash_of(const io::Path& model) {
  const std::string known = checkpoint::read_manifest(model).tokenizer_hash;
  if (!known.empty()) return known;
  try {
    return data::load_tokenizer_folder(model.string())->hash_hex();
  } catch (const DataError&) {
    return {};  // an imported folder without a tokenizer, or with one that is not read here
  }
}

Prepared prepare_new(const config::Config& config, const RunFolder& folder) {
  Prepared out{.config = config,
               .folder = folder,
               .info = {},
               .corpora = {},
               .init_from = {},
               .from = std::nullopt,
               .public_files = {},
               .is_new = true};
  if (!config.run.init_from.empty()) out.init_from = checkpoint::resolve_model(config.run.init_from);
  auto tokenizer = make_tokenizer(config, out.init_from);
  if (!out.init_from.empty()) {
    const std::string known = tokenizer_hash_of(out.init_from);
    check<DataError>(known.empty() || known == tokenizer->hash_hex(),
                     "[tokenizer] run.init_from: {} was trained with another tokenizer than this configuration names\n"
                     "  hint: set data.tokenizer to the tokenizer files in that folder",
                     out.init_from.string());
    // The public configuration names ids of the public tokenizer.
    if (!known.empty()) out.public_files = models::exchange::public_files(out.init_from);
  }
  resolve_labels(out.config);
  out.corpora = open_corpora(out.config, std::move(tokenizer));
  out.config.train.micro_batch = resolve_micro_batch(out.config, out.corpora.vocabulary());
  out.info = new_info(out.config, out.corpora);
  describe_session(out.info, config);
  return out;
}

void record_changes(RunInfo& info, const std::vector<config::KeyChange>& changes, int64_t step) {
  std::string line;
  for (const config::KeyChange& change : changes) {
    info.changes.push_back(
        {.step = step, .key = change.key, .old_value = change.old_value, .new_value = change.new_value});
    line += fmt::format("{}{} {} -> {}", line.empty() ? "" : ", ", change.key, change.old_value, change.new_value);
  }
  if (!line.empty()) log::warn("[resume] changed from step {} on: {}", step + 1, line);
}

// Opens the data and the tokenizer of a run again. throws DataError when they are not what they were
void open_same_inputs(Prepared& run) {
  check_inputs_unchanged(run.config, run.info.splits);
  auto tokenizer = same_tokenizer(run.config, run.folder.path(), run.info.tokenizer_hash);
  run.corpora = open_corpora(run.config, std::move(tokenizer));
  check_splits_unchanged(run.corpora, run.info.splits);
}

Prepared prepare_existing(const config::Config& given, const TrainingOptions& options, const RunFolder& folder) {
  Prepared out{
      .config = given, .folder = folder, .info = folder.read_info(), .corpora = {}, .init_from = {}, .from = {}, .public_files = {}};
  const config::Config before = config::load_config(folder.config().string()).config;
  if (out.config.train.micro_batch == 0) out.config.train.micro_batch = before.train.micro_batch;
  if (out.config.data.objective.labels.empty()) out.config.data.objective.labels = before.data.objective.labels;
  const config::ResumeComparison comparison = config::compare_for_resume(before, out.config);
  comparison.refuse_fixed(folder.path().string());

  const RunSummary& done = out.info.summary;
  const Progress position{.steps = done.steps, .tokens = done.tokens, .epochs = 0, .seconds = done.seconds};
  if (out.info.status == "finished" && ending_of(out.config).reached(position)) {
    out.finished = true;
    return out;
  }
  open_same_inputs(out);

  out.from = checkpoint::find_newest_sound(folder.checkpoints(), options.strict);
  const int64_t step = out.from ? out.from->step : 0;
  if (out.from) {
    for (const checkpoint::Skipped& skipped : out.from->skipped) {
      log::warn("[resume] step {} skipped, {} steps are lost: {}", skipped.step, skipped.step - step, skipped.reason);
    }
    log::info("[resume] {} is sound; the run continues after step {}", out.from->folder.string(), step);
  } else {
    // A session that ends in order saves, and checkpoints/ is made before the run is. A run that was killed before its first save
    // starts anew, unless nothing may be lost.
    const bool begun = options.strict && io::exists(folder.journal()) && io::info(folder.journal()).size > 0;
    check<CheckpointError>(done.steps == 0 && io::exists(folder.checkpoints()) && !begun,
                           "[resume] {} has taken steps, but {} holds no checkpoint\n"
                           "  hint: bring it back (is a disk missing?), or start a new run in another folder with --run DIR",
                           folder.path().string(), folder.checkpoints().string());
    log::info("[resume] {} holds no checkpoint yet; the run starts at step 1", folder.path().string());
    if (!given.run.init_from.empty()) out.init_from = checkpoint::resolve_model(given.run.init_from);
  }
  const io::Path origin = out.from ? out.from->folder : out.init_from;
  if (!origin.empty() && tokenizer_hash_of(origin) == out.info.tokenizer_hash) out.public_files = models::exchange::public_files(origin);
  record_changes(out.info, comparison.may_change, step);
  describe_session(out.info, out.config);
  return out;
}

}  // namespace

bool make_run_folder(const RunFolder& folder) {
  const bool made = !io::exists(folder.path());
  check<CheckpointError>(made || folder.is_run() || !io::exists(folder.checkpoints()) || checkpoint::candidates_of(folder.checkpoints()).empty(),
                         "[run] {} holds checkpoints, but the config.yaml of their run is missing\n"
                         "  hint: copy config.yaml back from the newest folder in {}, or name another folder with --run DIR",
                         folder.path().string(), folder.checkpoints().string());
  // A start that was interrupted leaves its lock file; everything beside that is then its own.
  check<ConfigError>(made || folder.is_run() || io::exists(folder.path() / "lock") || io::list(folder.path()).empty(),
                     "[run] {} is not empty and holds no run\n  hint: name another folder with --run DIR",
                     folder.path().string());
  io::make_folders(folder.path());
  return made;
}

UnlessCreated::~UnlessCreated() {
  try {
    if (folder_.is_run()) return;
    for (const char* name :
         {"checkpoints", "lock", "log.txt", "run.json", "events", "metrics.jsonl", "journal.jsonl"}) {
      io::remove_all(folder_.path() / name);
    }
    for (const std::string& name : io::list(folder_.path())) {
      if (name.starts_with("tokenizer.")) io::unlink(folder_.path() / name);
    }
    if (made_) io::remove_folder(folder_.path());
  } catch (const std::exception&) {
    // What made the start fail matters more than what could not be cleaned up.
  }
}

void check_buildable(const config::Config& config) {
  device_of(config);
  std::map<std::string, Shape> first;  // what the first stage trains, the others go on with
  for (const Stage& stage : stages_of(config)) {
    const MetaMemoryScope memory;
    const int64_t rows = config.model.options->body.vocabulary;
    const auto model = models::make_any_model(model_spec(config, rows > 0 ? rows : kAnyVocabulary, stage.options), 0, Device::meta());
    trained_parameters(*model, config.train.freeze);
    std::map<std::string, Shape> shapes;
    for (const auto& parameter : model->parameters()) shapes.emplace(parameter.name, parameter.variable.shape());
    if (first.empty()) first = shapes;
    if (shapes == first) continue;
    const auto [before, now] = std::mismatch(first.begin(), first.end(), shapes.begin(), shapes.end());
    const bool same_name = before != first.end() && now != shapes.end() && before->first == now->first;
    fail<ConfigError>("[config] train.stages: a stage changes the parameter \"{}\"{}\n"
                      "  hint: stages go on with the weights of the one before; keys of model that shape them cannot change",
                      now != shapes.end() ? now->first : before->first, same_name ? fmt::format(" from {} to {}", before->second, now->second) : "");
  }
}

Prepared prepare(const config::Config& config, const TrainingOptions& options, const RunFolder& folder) {
  if (!folder.is_run()) return prepare_new(config, folder);
  return prepare_existing(config, options, folder);
}

Prepared prepare_replay(const RunFolder& folder) {
  const config::Config config = config::load_config(folder.config().string()).config;
  Prepared out{
      .config = config, .folder = folder, .info = folder.read_info(), .corpora = {}, .init_from = {}, .from = {}, .public_files = {}};
  open_same_inputs(out);
  if (!config.run.init_from.empty()) out.init_from = checkpoint::resolve_model(config.run.init_from);
  return out;
}

void record_run(const Prepared& prepared) {
  const RunFolder& folder = prepared.folder;
  if (!prepared.is_new) {
    folder.write_info(prepared.info);
    folder.write_config(config::resolved_yaml(prepared.config));
    return;
  }
  for (const std::string& name : io::list(folder.path())) {
    if (name.starts_with("tokenizer.")) io::unlink(folder.path() / name);  // of a start that did not get this far
  }
  prepared.corpora.tokenizer->save(folder.path().string());
  folder.write_info(prepared.info);
  folder.write_config(config::resolved_yaml(prepared.config));
}

}  // namespace longhaul::train
