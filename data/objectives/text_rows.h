// defines: TextRows
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/objectives/objective.h"

namespace longhaul::data {

/// One column of a table, a row a document.
class TextRows {
 public:
  /// `what` ("source") and `split` ("train") stand in messages.
  TextRows(std::shared_ptr<const TokenSource> source, std::string split, std::string what)
      : source_(std::move(source)), split_(std::move(split)), what_(std::move(what)) {}
  int64_t count() const { return source_->documents(); }
  /// Tokens of a row, without an end id that the preparation added.
  int64_t size(int64_t row) const;
  /// The first `most` tokens of a row.
  std::vector<int32_t> read(int64_t row, int64_t most) const;
  /// Refuses a row of more than `most` tokens. throws DataError with its number and `hint`
  void check_fits(int64_t row, int64_t most, const std::string& hint) const;

 private:
  std::shared_ptr<const TokenSource> source_;
  std::string split_, what_;
};

}  // namespace longhaul::data
