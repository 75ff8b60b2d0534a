// defines: TokenSource, TextCounts, DocumentRange, FileMark, DatasetOptions, open_split, corpus_text, check_unchanged
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/corpus/entry.h"
#include "data/tokenizers/tokenizer.h"

namespace longhaul::data {

/// Size of a text in the units of the metrics (data spec 1.1).
struct TextCounts {
  int64_t bytes = 0;       // as encoded, UTF-8
  int64_t characters = 0;  // code points
  int64_t words = 0;       // see WordCount
  TextCounts& operator+=(const TextCounts& other);
  TextCounts& operator-=(const TextCounts& other);
  bool operator==(const TextCounts&) const = default;
};

/// A document's tokens: [begin, end) of the split's tokens.
struct DocumentRange {
  int64_t begin = 0;
  int64_t end = 0;
};

/// How an input file is recognised again.
struct FileMark {
  std::string path;
  int64_t size = 0;
  int64_t modified_ns = 0;
  std::string ends;     // SHA-256 of the first and the last 64 KiB, hex
  std::string content;  // SHA-256 of the whole file as it lies on disk, hex
  bool operator==(const FileMark&) const = default;
};

struct DatasetOptions {
  CorpusOptions corpus;
  std::string cache_folder;  // prepared token shards; empty: $LONGHAUL_CACHE, else $XDG_CACHE_HOME/longhaul, else
                             // ~/.cache/longhaul
  bool every_row = false;    // a document without a token is refused instead of left out: columns of a table stay in step
};

/// The tokens of one split, all documents behind each other, each followed by the tokenizer's end id where it has one.
/// Immutable and safe to share; reads go to the shards on disk with pread.
class TokenSource {
 public:
  virtual ~TokenSource() = default;

  virtual int64_t tokens() const = 0;
  virtual int64_t documents() const = 0;
  /// 0 <= index < documents()
  virtual DocumentRange document(int64_t index) const = 0;
  /// The document that holds a token, 0 <= token < tokens(). O(log documents)
  virtual int64_t document_of(int64_t token) const = 0;
  virtual TextCounts counts(int64_t document) const = 0;
  virtual TextCounts total() const = 0;
  /// Copies tokens [begin, begin + into.size()). throws DataError naming the shard when it changed or ends early
  virtual void read(int64_t begin, std::span<int32_t> into) const = 0;

  virtual const Tokenizer& tokenizer() const = 0;
  /// Whether documents end with the tokenizer's end id, which stands for no text.
  virtual bool ends_documents() const = 0;
  /// The tokenizer's fidelity, lowered to kLossy when unknown ids or replaced bytes occurred.
  virtual Fidelity fidelity() const = 0;
  virtual int64_t unknown_tokens() const = 0;
  virtual int64_t replaced_bytes() const = 0;
  /// The input files in order.
  virtual const std::vector<FileMark>& files() const = 0;
  /// SHA-256 over the tokens' shards: names this split's content in a checkpoint.
  virtual const std::string& hash_hex() const = 0;
};

/// Opens a split: tokenises its entries into the cache when that has not been done before, and opens the shards.
/// `name` ("train", "valid", "test") stands in messages. A .shard entry is used as it is; its tokenizer must be
/// `tokenizer`. throws DataError: no entry, a missing, unreadable, empty or malformed file, a changed shard, no token
/// at all
std::shared_ptr<const TokenSource> open_split(const std::string& name, const std::vector<DataEntry>& entries,
                                              std::shared_ptr<const Tokenizer> tokenizer,
                                              const DatasetOptions& options);

/// The text of the entries, for train_tokenizer.
TextSource corpus_text(const std::vector<DataEntry>& entries, const CorpusOptions& options);

/// Marks of the input files of the entries as they are now, without reading more than their ends (content stays empty).
std::vector<FileMark> mark_files(const std::vector<DataEntry>& entries);

/// Compares the inputs of an interrupted run with those of now. A file of which only the time differs is read through.
/// throws DataError naming the first file that was added, removed or changed, and how
void check_unchanged(const std::vector<FileMark>& before, const std::vector<FileMark>& now);

/// The marks as JSON text and back, for state.json.
std::string marks_to_json(const std::vector<FileMark>& marks);
std::vector<FileMark> marks_from_json(const std::string& json);

}  // namespace longhaul::data
