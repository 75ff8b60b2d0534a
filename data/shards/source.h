// defines: open_shards
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/shards/shard_file.h"

namespace longhaul::data {

/// What a split knows besides its shards.
struct SplitFacts {
  Fidelity fidelity = Fidelity::kExact;
  int64_t unknown_tokens = 0;
  int64_t replaced_bytes = 0;
  std::vector<FileMark> files;
};

/// The shards behind each other as one split. throws DataError when one was made with another tokenizer
std::shared_ptr<const TokenSource> open_shards(std::vector<ShardFile> shards,
                                               std::shared_ptr<const Tokenizer> tokenizer, SplitFacts facts);

}  // namespace longhaul::data
