#include "framework/pattern/pattern.h"

namespace longhaul {

int64_t Pattern::bytes() const {
  if (!data_) return 0;
  const auto size = [](const auto& vector) { return static_cast<int64_t>(vector.size() * sizeof(vector[0])); };
  return static_cast<int64_t>(sizeof(Data)) + size(data_->row_begin) + size(data_->entries) +
         size(data_->column_begin) + size(data_->transposed) + size(data_->rules) + size(data_->bits) +
         size(data_->query_permutation.rows) + size(data_->key_permutation.rows);
}

}  // namespace longhaul
