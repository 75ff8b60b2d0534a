#include "train/trainer/corpora.h"

#include "framework/base/error.h"
#include "framework/checkpoint/checkpoint.h"

namespace longhaul::train {
namespace {

using Entries = std::vector<config::DataEntry>;

// Calls visit(name, entries) for the splits a run reads.
template <typename Visit>
void each_split(const config::Config& config, Visit&& visit) {
  visit("train", config.data.train);
  if (!config.data.valid.empty()) visit("valid", config.data.valid);
  if (!config.data.test.empty()) visit("test", config.data.test);
}

template <typename Visit>
void each_source(const Corpora& corpora, Visit&& visit) {
  visit("train", *corpora.train);
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
  const auto entries = config::DataConfig::entries(config.data.train);
  return data::train_tokenizer(options, data::corpus_text(entries, config.data.corpus));
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
  const data::DatasetOptions options{.corpus = config.data.corpus, .cache_folder = config.data.cache};
  each_split(config, [&](const std::string& name, const Entries& entries) {
    auto source = data::open_split(name, config::DataConfig::entries(entries), out.tokenizer, options);
    (name == "train" ? out.train : name == "valid" ? out.valid : out.test) = std::move(source);
  });
  return out;
}

void check_inputs_unchanged(const config::Config& config, const std::map<std::string, SplitInfo>& before) {
  each_split(config, [&](const std::string& name, const Entries& entries) {
    const auto known = before.find(name);
    check<CheckpointError>(known != before.end(), "[run] run.json says nothing of the files of data.{}", name);
    data::check_unchanged(data::marks_from_json(known->second.marks),
                          data::mark_files(config::DataConfig::entries(entries)));
  });
}

void check_splits_unchanged(const Corpora& corpora, const std::map<std::string, SplitInfo>& before) {
  each_source(corpora, [&](const std::string& name, const data::TokenSource& source) {
    const std::string& known = before.at(name).hash;
    check<DataError>(source.hash_hex() == known,
                     "[data] the tokens of data.{} are not those this run was created with: their hash was {}, now it "
                     "is {}\n  hint: remove the token cache if it was damaged, or start a new run in another folder",
                     name, known.substr(0, 16), source.hash_hex().substr(0, 16));
  });
}

std::map<std::string, SplitInfo> split_infos(const Corpora& corpora) {
  std::map<std::string, SplitInfo> out;
  each_source(corpora, [&](const std::string& name, const data::TokenSource& source) {
    out[name] = {.marks = data::marks_to_json(source.files()), .hash = source.hash_hex()};
  });
  return out;
}

std::map<std::string, std::string> content_hashes(const Corpora& corpora) {
  std::map<std::string, std::string> out;
  each_source(corpora, [&](const std::string&, const data::TokenSource& source) {
    for (const data::FileMark& mark : source.files()) out[mark.path] = mark.content;
  });
  return out;
}

}  // namespace longhaul::train
