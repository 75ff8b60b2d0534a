#include "framework/nn/positions.h"

#include <cmath>

#include "framework/base/error.h"
#include "framework/ops/rows.h"
#include "framework/ops/shape.h"
#include "framework/tensor/memory.h"

namespace longhaul::nn {

Tensor sinusoidal_table(int64_t rows, int64_t width, Device device, DType dtype) {
  const MemoryScope scope(MemoryFamily::kState);
  const Tensor table = Tensor::empty({rows, width}, dtype, device);
  if (device.is_meta()) return table;
  for (int64_t p = 0; p < rows; ++p) {
    for (int64_t column = 0; column < width; ++column) {
      const double angle = static_cast<double>(p) / std::pow(10000.0, static_cast<double>(column / 2 * 2) / static_cast<double>(width));
      const double value = column % 2 == 0 ? std::sin(angle) : std::cos(angle);
      if (dtype == DType::kF64) table.data<double>()[p * width + column] = value;
      else table.data<float>()[p * width + column] = static_cast<float>(value);
    }
  }
  return table;
}

Tensor iota(int64_t first, int64_t count, Device device) {
  std::vector<int32_t> values(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) values[static_cast<size_t>(i)] = static_cast<int32_t>(first + i);
  return Tensor::of<int32_t>({count}, values, device);
}

PositionTable::PositionTable(int64_t width, const PositionOptions& options, Initializer& init) : options_(options) {
  switch (options_.kind) {
    case PositionKind::kLearned: add("weight", weight_ = init.normal({options_.rows, width}, options_.deviation)); break;
    case PositionKind::kSinusoidal: weight_ = Variable(sinusoidal_table(options_.rows, width, init.device(), init.dtype())); break;
    case PositionKind::kAxial: {
      const auto& grid = options_.axial_shape;
      check<ConfigError>(grid.size() == 2 && grid[0] * grid[1] >= options_.rows, "[positions] the axial shape does not hold {} positions", options_.rows);
      add("rows", row_ = init.normal({grid[0], width / 2}, options_.deviation));
      add("columns", column_ = init.normal({grid[1], width - width / 2}, options_.deviation));
      break;
    }
  }
}

Variable PositionTable::operator()(int64_t first, int64_t count) const {
  check<ConfigError>(first >= 0 && first + count <= options_.rows,
                     "[positions] position {} is beyond the table of {} rows\n  hint: raise model.max_positions, or use positions without a table (rotary, none)", first + count - 1, options_.rows);
  if (options_.kind != PositionKind::kAxial) return ops::slice(weight_, 0, first, first + count);
  const int64_t columns = options_.axial_shape[1];
  std::vector<int32_t> r, c;
  for (int64_t p = first; p < first + count; ++p) {
    r.push_back(static_cast<int32_t>(p / columns));
    c.push_back(static_cast<int32_t>(p % columns));
  }
  const auto rows_of = [&](const Variable& table, const std::vector<int32_t>& index) {
    return ops::embedding(table, Tensor::of<int32_t>({count}, index, table.device()), table.dtype());
  };
  const Variable halves[] = {rows_of(row_, r), rows_of(column_, c)};
  return ops::concat(halves, 1);
}

Variable PositionTable::at(const Tensor& index, int32_t frozen) const {
  check<InternalError>(options_.kind == PositionKind::kLearned, "positions are looked up in a table that is not learned");
  return ops::embedding(weight_, index, weight_.dtype(), frozen);
}

}  // namespace longhaul::nn
