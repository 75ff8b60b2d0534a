// defines: FormatReader and its makers: text by documents, rows of .tsv, objects of .jsonl; text_member, read_file
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "data/corpus/documents.h"

namespace longhaul::data {

/// Turns the characters of one file into documents.
class FormatReader {
 public:
  virtual ~FormatReader() = default;
  virtual void write(std::string_view piece) = 0;
  virtual void finish() = 0;
};

std::unique_ptr<FormatReader> text_reader(DocumentMode mode, DocumentSink& sink);
/// `rows_from`, `rows_to`: only rows whose first byte (counted in the file) lies there; the header is read in any case.
std::unique_ptr<FormatReader> tsv_reader(const std::string& path, const std::string& column, int64_t rows_from,
                                         int64_t rows_to, DocumentSink& sink);
std::unique_ptr<FormatReader> jsonl_reader(const std::string& path, const std::string& column, int64_t rows_from,
                                           int64_t rows_to, DocumentSink& sink);

/// Called with each object and its line.
using TakeObject = std::function<void(const nlohmann::json& row, int64_t line)>;
std::unique_ptr<FormatReader> jsonl_objects(const std::string& path, int64_t rows_from, int64_t rows_to,
                                            TakeObject take);
/// A member that must be a string. throws DataError
const std::string& text_member(const nlohmann::json& row, const std::string& name, const std::string& path,
                               int64_t line);

/// Streams the characters of one file of an entry, with the cuts of its part, into the format that `make` makes for the
/// bytes [from, to) of rows; see read_documents.
FileReading read_file(const DataEntry& entry, const std::string& path, InvalidUtf8 policy, bool rows,
                      const std::function<std::unique_ptr<FormatReader>(int64_t from, int64_t to)>& make);

}  // namespace longhaul::data
