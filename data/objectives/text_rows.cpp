#include "data/objectives/text_rows.h"

#include <algorithm>

#include "framework/base/error.h"

namespace longhaul::data {

int64_t TextRows::size(int64_t row) const {
  const DocumentRange range = source_->document(row);
  return range.end - range.begin - (source_->ends_documents() ? 1 : 0);
}

std::vector<int32_t> TextRows::read(int64_t row, int64_t most) const {
  std::vector<int32_t> tokens(static_cast<size_t>(std::min(size(row), most)));
  source_->read(source_->document(row).begin, tokens);
  return tokens;
}

void TextRows::check_fits(int64_t row, int64_t most, const std::string& hint) const {
  const int64_t tokens = size(row);
  check<DataError>(tokens <= most,
                   "[data] row {} of data.{}: its {} has {} tokens, there is room for {}\n"
                   "  hint: {}, or data.too_long: cut",
                   row + 1, split_, what_, tokens, most, hint);
}

}  // namespace longhaul::data
