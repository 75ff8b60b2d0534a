#include "train/trainer/corpora.h"

#include "data/objectives/tables.h"
#include "framework/base/error.h"
#include "framework/checkpoint/checkpoint.h"

namespace longhaul::train {
namespace {

using Entries = std::vector<data::DataEntry>;

// Calls visit(name, entries) for the splits a run reads.
template <typename Visit>
void each_split(const config::Config& config, Visit&& visit) {
  visit("train", config.data.train);
  if (!config.data.valid.empty()) visit("valid", config.data.valid);
  if (!config.data.test.empty()) visit("test", config.data.test);
}

template <typename Visit>
void each_opened(const Corpora& corpora, Visit&& visit) {
  visit("train", corpora.train);
  if (corpora.valid) visit("valid", *corpora.valid);
  if (corpora.test) visit("test", *corpora.test);
}

}  // namespace

std::shared_ptr<const data::Tokenizer> make_tokenizer(const config::Config& config, const io::Path& init_from) {
  const data::TokenizerOptions& options = config.data.tokenizer;
  if (options.kind == data::TokenizerKind::kByte || !options.path.empty()) return data::load_tokenizer(options);
  if (!init_from.empty()) {
    auto tokenizer = data::load_tokenizer_folder(init_from.string());
    check<DataError>(tokenizer->kind() == options.kind,
                     "[tokenizer] {} has a {} tokenizer, data.tokenizer.kind asks for {}\n"
                     "  hint: weights belong to the tokenizer they were trained with",
                     init_from.string(), data::name_of(tokenizer->kind()), data::name_of(options.kind));
    return tokenizer;
  }
  return data::train_tokenizer(options, data::training_text(config.data.objective.kind, config.data.train, config.data.corpus));
}

std::shared_ptr<const data::Objective> make_objective(const config::Config& config,
                                                      std::shared_ptr<const data::Tokenizer> tokenizer) {
  data::ObjectiveOptions options = config.data.objective;
  options.decoder_start = static_cast<int32_t>(config.model.options->body.decoder_start);
  return data::make_objective(options, std::move(tokenizer));
}

void resolve_labels(config::Config& config) {
  data::ObjectiveOptions& objective = config.data.objective;
  if (objective.kind != data::ObjectiveKind::kClassify || !objective.labels.empty()) return;
  objective.labels = data::labels_of("train", config.data.train, config.data.corpus);
}

data::TrainingBatches training_batches(const config::Config& config, const Corpora& corpora, int64_t sequence_length) {
  const auto seed = static_cast<uint64_t>(config.run.seed);
  const data::SampleShape shape{
      .sequence_length = sequence_length, .cross_documents = config.data.cross_documents, .seed = seed};
  return {corpora.objective->samples(corpora.train, shape), config.data.shuffle, seed};
}

std::shared_ptr<const data::Tokenizer> same_tokenizer(const config::Config& config, const io::Path& folder,
                                                      const std::string& hash) {
  const data::TokenizerOptions& options = config.data.tokenizer;
  const bool own = options.kind != data::TokenizerKind::kByte && options.path.empty();
  auto tokenizer = own ? data::load_tokenizer_folder(folder.string()) : data::load_tokenizer(options);
  check<DataError>(tokenizer->hash_hex() == hash,
                   "[tokenizer] {} is not the tokenizer this run was created with: its hash was {}, now it is {}\n"
                   "  hint: put the old one back, or start a new run in another folder",
                   own ? folder.string() : (options.path.empty() ? "data.tokenizer" : options.path), hash.substr(0, 16),
                   tokenizer->hash_hex().substr(0, 16));
  return tokenizer;
}

Corpora open_corpora(const config::Config& config, std::shared_ptr<const data::Tokenizer> tokenizer) {
  Corpora out;
  out.tokenizer = std::move(tokenizer);
  out.objective = make_objective(config, out.tokenizer);
  const data::DatasetOptions options{.corpus = config.data.corpus, .cache_folder = config.data.cache};
  each_split(config, [&](const std::string& name, const Entries& entries) {
    data::Split split = out.objective->open(name, entries, options);
    if (name == "train") {
      out.train = std::move(split);
    } else {
      (name == "valid" ? out.valid : out.test) = std::move(split);
    }
  });
  return out;
}

void check_inputs_unchanged(const config::Config& config, const std::map<std::string, SplitInfo>& before) {
  each_split(config, [&](const std::string& name, const Entries& entries) {
    const auto known = before.find(name);
    check<CheckpointError>(known != before.end(), "[run] run.json says nothing of the files of data.{}", name);
    data::check_unchanged(data::marks_from_json(known->second.marks), data::mark_files(entries));
  });
}

void check_splits_unchanged(const Corpora& corpora, const std::map<std::string, SplitInfo>& before) {
  each_opened(corpora, [&](const std::string& name, const data::Split& split) {
    const std::string& known = before.at(name).hash;
    check<DataError>(split.hash_hex() == known,
                     "[data] the tokens of data.{} are not those this run was created with: their hash was {}, now it "
                     "is {}\n  hint: remove the token cache if it was damaged, or start a new run in another folder",
                     name, known.substr(0, 16), split.hash_hex().substr(0, 16));
  });
}

std::map<std::string, SplitInfo> split_infos(const Corpora& corpora) {
  std::map<std::string, SplitInfo> out;
  each_opened(corpora, [&](const std::string& name, const data::Split& split) {
    out[name] = {.marks = data::marks_to_json(split.files()), .hash = split.hash_hex()};
  });
  return out;
}

std::map<std::string, std::string> content_hashes(const Corpora& corpora) {
  std::map<std::string, std::string> out;
  each_opened(corpora, [&](const std::string&, const data::Split& split) {
    for (const data::FileMark& mark : split.files()) out[mark.path] = mark.content;
  });
  return out;
}

}  // namespace longhaul::train
