#include <algorithm>
#include <vector>

#include "data/corpus/formats.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

/// Rows of tab-separated cells without quoting; the first line names the columns.
class Tsv final : public FormatReader {
 public:
  Tsv(std::string path, std::string column, int64_t from, int64_t to, DocumentSink& sink)
      : path_(std::move(path)), column_(std::move(column)), from_(from), to_(to), sink_(sink) {}

  void write(std::string_view piece) override {
    for (size_t at = 0; at < piece.size();) {
      const size_t end = std::min(piece.find_first_of("\t\n", at), piece.size());
      if (end > at) cell(piece.substr(at, end - at));
      offset_ += static_cast<int64_t>(end - at);
      if (end == piece.size()) return;
      ++offset_;
      if (piece[end] == '\t') {
        next_cell();
      } else {
        end_line();
      }
      at = end + 1;
    }
  }
  void finish() override {
    if (cell_ > 0 || any_) end_line();
    check<DataError>(line_ > 0, "[data] {} has no header line: a .tsv file begins with its column names", path_);
  }

 private:
  void cell(std::string_view text) {
    if (!any_) row_begins();
    if (held_return_) put("\r");
    held_return_ = text.back() == '\r';
    if (held_return_) text.remove_suffix(1);
    put(text);
  }
  void row_begins() {
    any_ = true;
    if (cell_ == 0) chosen_ = line_ > 0 && from_ <= offset_ && offset_ < to_;
  }
  void put(std::string_view text) {
    if (text.empty()) return;
    if (line_ == 0) {
      check<DataError>(names_.back().size() + text.size() <= kLongestName,
                       "[data] {}:1: a column name is longer than {} bytes", path_, kLongestName);
      names_.back().append(text);
    } else if (chosen_ && cell_ == text_column_) {
      sink_.text(text);
    }
  }
  void next_cell() {
    if (!any_) row_begins();
    if (held_return_) put("\r");
    held_return_ = false;
    ++cell_;
    if (line_ == 0) names_.emplace_back();
  }
  void end_line() {
    const bool empty = !any_;
    held_return_ = false;
    if (line_ == 0) {
      const auto found = std::find(names_.begin(), names_.end(), column_);
      check<DataError>(found != names_.end(),
                       "[data] {} has no column \"{}\": its header has {}\n  hint: name the column with `text:`", path_,
                       column_, listed());
      text_column_ = static_cast<size_t>(found - names_.begin());
    } else if (!empty) {
      check<DataError>(cell_ + 1 == names_.size(), "[data] {}:{}: a row of {} cells under a header of {} columns",
                       path_, line_ + 1, cell_ + 1, names_.size());
      if (chosen_) sink_.end_document();
    }
    ++line_;
    cell_ = 0;
    any_ = chosen_ = false;
  }
  std::string listed() const {
    std::string out;
    for (size_t i = 0; i < std::min<size_t>(names_.size(), 10); ++i) out += (i ? ", \"" : "\"") + names_[i] + "\"";
    return names_.size() > 10 ? out + ", ..." : out;
  }

  static constexpr size_t kLongestName = 4096;
  std::string path_, column_;
  int64_t from_, to_;
  DocumentSink& sink_;
  std::vector<std::string> names_{""};
  size_t text_column_ = 0;
  size_t cell_ = 0;
  int64_t line_ = 0;    // 0: the header
  int64_t offset_ = 0;  // of the next byte
  bool any_ = false;    // the line has a byte or a tab
  bool chosen_ = false;
  bool held_return_ = false;
};

}  // namespace

std::unique_ptr<FormatReader> tsv_reader(const std::string& path, const std::string& column, int64_t rows_from,
                                         int64_t rows_to, DocumentSink& sink) {
  return std::make_unique<Tsv>(path, column, rows_from, rows_to, sink);
}

}  // namespace longhaul::data
