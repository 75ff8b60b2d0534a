// defines: Prepared, ShardNote, prepare_split, open_prepared, default_cache_folder
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace longhaul::data {

struct ShardNote {
  std::string name;  // file in the folder
  int64_t bytes = 0;
  std::string header_hash;  // SHA-256 of its header, which holds the hash of the rest
};

/// A folder of token shards and what its manifest.json says.
struct Prepared {
  std::string folder;
  std::string key;  // hash of inputs, tokenizer and options; the folder's name in the cache
  std::vector<ShardNote> shards;
  std::vector<FileMark> files;
  std::string tokenizer_hash;
  Fidelity fidelity = Fidelity::kExact;
  int64_t unknown_tokens = 0;
  int64_t replaced_bytes = 0;
  int64_t empty_documents = 0;  // dropped
};

struct PrepareLimits {
  int64_t shard_tokens = int64_t{1} << 28;  // a document is never divided
  bool every_row = false;                   // see DatasetOptions
};

/// $LONGHAUL_CACHE, $XDG_CACHE_HOME/longhaul or ~/.cache/longhaul. throws ConfigError when none is set
std::string default_cache_folder();

/// Tokenises the entries into `cache`/key unless that is there already. Made under another name and renamed, so that it
/// is whole or absent, also when several processes do it at once. Memory: constant but for 32 bytes a document.
/// throws DataError for the input, IoError for what is written
Prepared prepare_split(const std::string& name, const std::vector<DataEntry>& entries, const Tokenizer& tokenizer,
                       const CorpusOptions& options, const std::string& cache, const PrepareLimits& limits = {});

/// Reads a folder's manifest. nullopt when the folder is not there; throws DataError when it is malformed
std::optional<Prepared> open_prepared(const std::string& folder);

/// Options with kAuto replaced by what it means for a tokenizer. throws DataError when kKeep does not suit it
CorpusOptions resolved(const CorpusOptions& options, const Tokenizer& tokenizer);

}  // namespace longhaul::data
