// defines: TextWindows, RowTable, bucket_width, below, random_order
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "data/dataset.h"
#include "data/objectives/objective.h"
#include "framework/tensor/random.h"

namespace longhaul::data {

/// Running text cut into pieces of L tokens that follow each other; the last one of the split (without crossing: of each
/// document) is shorter. Without crossing, end ids that the preparation added are left out.
class TextWindows {
 public:
  /// throws DataError when there is no token
  TextWindows(std::shared_ptr<const TokenSource> source, int64_t length, bool cross_documents);
  int64_t count() const { return count_; }
  int64_t length() const { return length_; }
  const TokenSource& source() const { return *source_; }
  /// The tokens of a piece.
  std::vector<int32_t> read(int64_t window) const;

 private:
  DocumentRange range_of(int64_t document) const;
  std::shared_ptr<const TokenSource> source_;
  int64_t length_, count_ = 0;
  bool cross_;
  std::vector<int64_t> first_window_;  // [documents + 1]; empty when crossing
};

/// Rows of different lengths, filled up to one width.
class RowTable {
 public:
  void add(std::vector<int32_t> row) { rows_.push_back(std::move(row)); }
  int64_t longest() const;
  int64_t filled() const;  // elements of all rows
  std::vector<int64_t> lengths() const;
  /// [rows, width] i32
  Tensor tensor(int64_t width, int32_t filler) const;
  /// [rows, width] u8, 1 where a row has an element; undefined when all rows are that wide.
  Tensor valid(int64_t width) const;

 private:
  std::vector<std::vector<int32_t>> rows_;
};

/// The width of a batch whose longest row is given: the next multiple of an eighth of `most`, 64 at least, `most` at most. A
/// few widths, so that shapes come back.
int64_t bucket_width(int64_t longest, int64_t most);

/// A whole number below n from a random word.
inline int64_t below(uint32_t word, int64_t n) {
  return static_cast<int64_t>((static_cast<uint64_t>(word) * static_cast<uint64_t>(n)) >> 32);
}

/// 0 .. n - 1 in a random order: by the words of the stream, ties by number.
std::vector<int64_t> random_order(const RandomStream& stream, int64_t n);

}  // namespace longhaul::data
