// defines: ShardWriter
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/shards/format.h"
#include "framework/base/io.h"

namespace longhaul::data {

/// Writes one token shard. The tokens go to PATH.tokens first, because the header, which precedes them, holds their
/// hash.
class ShardWriter {
 public:
  ShardWriter(const std::string& path, const Tokenizer& tokenizer, bool ends_documents);
  void tokens(std::span<const int32_t> ids);
  /// Closes a document; one without tokens is not recorded.
  void end_document(const TextCounts& counts);
  int64_t written() const { return static_cast<int64_t>(header_.tokens); }
  int64_t documents() const { return static_cast<int64_t>(starts_.size()) - 1; }
  /// Completes the file (fsync included) and returns its header.
  ShardHeader finish(bool lossless);

 private:
  void flush();
  std::string path_;
  ShardHeader header_;
  io::File tokens_;
  std::string buffer_;
  Sha256 hash_;
  std::vector<uint64_t> starts_{0};
  std::vector<uint64_t> meta_;
};

}  // namespace longhaul::data
