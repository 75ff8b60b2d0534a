// defines: DocumentSink, FileReading, read_documents
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "data/corpus/entry.h"
#include "data/dataset.h"

namespace longhaul::data {

/// Receives documents in pieces that end between characters.
class DocumentSink {
 public:
  virtual ~DocumentSink() = default;
  virtual void text(std::string_view piece) = 0;
  /// Also called for a document without text.
  virtual void end_document() = 0;
};

/// What reading a file found besides its text.
struct FileReading {
  FileMark mark;
  int64_t unpacked_bytes = 0;
  int64_t replaced_bytes = 0;
};

/// Streams the documents of one file of an entry. The format follows the name without .gz or .zst: .tsv (first line:
/// column names), .jsonl (an object a line), any other name is text. Of a part, cuts at from and to (floor of the
/// unpacked size times percent) move on to the next start of a character (text; under kKeep they stay) or of a line
/// (.tsv, .jsonl), so that adjoining parts neither share nor lose a byte.
/// `policy` is kError, kReplace or kKeep. Memory is constant but for lines of .jsonl, which may have 64 MiB.
/// throws DataError: unreadable, damaged, invalid UTF-8, a row that does not fit the header, malformed JSON, a missing
/// column
FileReading read_documents(const DataEntry& entry, const std::string& path, InvalidUtf8 policy, DocumentSink& sink);

}  // namespace longhaul::data
