// defines: Corpora, make_objective, resolve_labels, training_batches, open_corpora, make_tokenizer, check_inputs_unchanged,
// split_infos, content_hashes
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "data/objectives/objective.h"
#include "data/sampler/batches.h"
#include "framework/base/io.h"
#include "train/config/config.h"
#include "train/trainer/run_info.h"

namespace longhaul::train {

/// What a run reads.
struct Corpora {
  std::shared_ptr<const data::Tokenizer> tokenizer;    // as it is saved
  std::shared_ptr<const data::Objective> objective;    // with every id the model has
  data::Split train;
  std::optional<data::Split> valid, test;

  int64_t vocabulary() const { return objective->tokenizer().vocabulary_size(); }
};

/// The objective of a configuration over a tokenizer.
std::shared_ptr<const data::Objective> make_objective(const config::Config& config,
                                                      std::shared_ptr<const data::Tokenizer> tokenizer);

/// Fills what only the texts know: the classes of data.train where data.labels leaves them out. throws DataError
void resolve_labels(config::Config& config);

/// The training samples of a stage.
data::TrainingBatches training_batches(const config::Config& config, const Corpora& corpora, int64_t sequence_length);

/// The tokenizer of a new run: loaded where data.tokenizer names one, taken from the model it starts from where that
/// has one of the kind asked for, else trained on the training text. `init_from`: a model folder, or empty. throws
/// DataError
std::shared_ptr<const data::Tokenizer> make_tokenizer(const config::Config& config, const io::Path& init_from);

/// The tokenizer of a run that continues: from its path, which must still give the same one, else from `folder`.
/// throws DataError when it changed
std::shared_ptr<const data::Tokenizer> same_tokenizer(const config::Config& config, const io::Path& folder,
                                                      const std::string& hash);

/// Opens the splits, preparing token shards where they are not in the cache. A stop asked for meanwhile leaves between
/// the splits. throws DataError
Corpora open_corpora(const config::Config& config, std::shared_ptr<const data::Tokenizer> tokenizer);

/// Compares the input files with those the run was created with. throws DataError naming the first that differs
void check_inputs_unchanged(const config::Config& config, const std::map<std::string, SplitInfo>& before);
/// The same for the tokens that came out.
void check_splits_unchanged(const Corpora& corpora, const std::map<std::string, SplitInfo>& before);

/// What run.json keeps of the texts.
std::map<std::string, SplitInfo> split_infos(const Corpora& corpora);
/// Path and content hash of every input file, for manifests.
std::map<std::string, std::string> content_hashes(const Corpora& corpora);

}  // namespace longhaul::train
