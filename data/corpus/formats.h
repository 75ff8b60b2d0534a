// defines: FormatReader and its makers: text by documents, rows of .tsv, objects of .jsonl
#pragma once
#include <cstdint>
#include <memory>
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

}  // namespace longhaul::data
