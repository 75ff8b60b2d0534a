// defines: ShardFile
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/shards/format.h"
#include "framework/base/io.h"

namespace longhaul::data {

/// One open token shard. Tokens are read with pread; the document tables stay in memory (32 bytes a document).
class ShardFile {
 public:
  enum class Verify { kStructure, kContent };  // kContent also reads all and compares the hash
  /// throws DataError: missing, malformed, cut off, a hash that does not hold
  static ShardFile open(const std::string& path, Verify verify);

  const std::string& path() const { return path_; }
  const ShardHeader& header() const { return header_; }
  int64_t tokens() const { return static_cast<int64_t>(header_.tokens); }
  int64_t documents() const { return static_cast<int64_t>(header_.documents); }
  /// Token where document `index` begins; index may be documents().
  int64_t document_begin(int64_t index) const { return static_cast<int64_t>(starts_[static_cast<size_t>(index)]); }
  int64_t document_of(int64_t token) const;
  /// Zero counts when the shard carries no meta.
  TextCounts counts(int64_t document) const;
  bool has_counts() const { return header_.meta_offset != 0; }
  /// throws DataError when the file changed since it was opened, ends early, or holds an id >= `vocabulary`
  void read(int64_t begin, std::span<int32_t> into, int64_t vocabulary) const;

 private:
  void load_tables();
  void verify_content() const;

  std::string path_;
  io::File file_;
  io::Info opened_;
  ShardHeader header_;
  std::vector<uint64_t> starts_;  // [documents + 1]
  std::vector<uint64_t> meta_;    // [documents, 3]
};

}  // namespace longhaul::data
