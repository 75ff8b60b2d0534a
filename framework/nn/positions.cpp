#include "framework/nn/positions.h"

#include <cmath>
#include <numeric>

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

std::vector<int64_t> axial_widths(int64_t width, size_t axes) {
  std::vector<int64_t> out(axes, axes > 0 ? width / static_cast<int64_t>(axes) : 0);
  if (axes > 0) out.back() = width - out[0] * static_cast<int64_t>(axes - 1);
  return out;
}

PositionTable::PositionTable(int64_t width, const PositionOptions& options, Initializer& init) : options_(options) {
  switch (options_.kind) {
    case PositionKind::kLearned: add("weight", weight_ = init.normal({options_.rows, width}, options_.deviation)); break;
    case PositionKind::kSinusoidal: weight_ = Variable(sinusoidal_table(options_.rows, width, init.device(), init.dtype())); break;
    case PositionKind::kAxial: {
      const auto& grid = options_.axial_shape;
      auto& widths = options_.axial_widths;
      if (widths.empty()) widths = axial_widths(width, grid.size());
      const int64_t points = std::accumulate(grid.begin(), grid.end(), int64_t{1}, std::multiplies<>());
      check<ConfigError>(points >= options_.rows && widths.size() == grid.size() && std::accumulate(widths.begin(), widths.end(), int64_t{0}) == width,
                         "[positions] axial tables of {} points and {} axes do not hold {} positions of width {}", points, widths.size(), options_.rows, width);
      for (size_t a = 0; a < grid.size(); ++a) {
        axes_.push_back(init.normal({grid[a], widths[a]}, options_.deviation));
        add("axis." + std::to_string(a), axes_.back());
      }
      break;
    }
  }
}

Variable PositionTable::operator()(int64_t first, int64_t count) const {
  check<ConfigError>(first >= 0 && first + count <= options_.rows,
                     "[positions] position {} is beyond the table of {} rows\n  hint: raise model.max_positions, or use positions without a table (rotary, none)", first + count - 1, options_.rows);
  if (options_.kind != PositionKind::kAxial) return ops::slice(weight_, 0, first, first + count);
  std::vector<Variable> parts(axes_.size());
  int64_t step = 1;  // positions between neighbours on the axis
  for (size_t a = axes_.size(); a-- > 0;) {
    const int64_t size = options_.axial_shape[a];
    std::vector<int32_t> index;
    for (int64_t p = first; p < first + count; ++p) index.push_back(static_cast<int32_t>(p / step % size));
    parts[a] = ops::embedding(axes_[a], Tensor::of<int32_t>({count}, index, axes_[a].device()), axes_[a].dtype());
    step *= size;
  }
  return ops::concat(parts, 1);
}

Variable PositionTable::at(const Tensor& index, int32_t frozen) const {
  check<InternalError>(options_.kind == PositionKind::kLearned, "positions are looked up in a table that is not learned");
  return ops::embedding(weight_, index, weight_.dtype(), frozen);
}

}  // namespace longhaul::nn
