#include <cstring>

#include "framework/backends/cpu/convert.h"
#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/parallel.h"

namespace longhaul::cpu {

using kernels::Status;

void convert_line(DType from, const void* x, int64_t step_x, DType to, void* y, int64_t step_y, int64_t n) {
  if (step_x == 1 && step_y == 1) {
    if (from == to) {
      std::memcpy(y, x, static_cast<size_t>(n) * size_of(from));
      return;
    }
    if (lane_of(from) >= 0 && lane_of(to) >= 0) return leaves().axpby[lane_of(from)][lane_of(to)](x, y, 1.0f, 0.0f, n);
  }
  visit_any(from, [&](auto source) {
    return visit_any(to, [&](auto target) {
      const auto* in = static_cast<const decltype(source)*>(x);
      auto* out = static_cast<decltype(target)*>(y);
      for (int64_t i = 0; i < n; ++i) out[i * step_y] = converted<decltype(target)>(in[i * step_x]);
      return Status::kOk;
    });
  });
}

namespace {

Status axpby(const View& x, const View& y, double alpha, double beta) {
  const int from = lane_of(x.dtype), to = lane_of(y.dtype);
  if (from >= 0 && to >= 0) {
    const auto leaf = leaves().axpby[from][to];
    for_blocks(x.elements(), kBlock,
               [&](int64_t begin, int64_t end) { leaf(at(x, begin), at(y, begin), static_cast<float>(alpha), static_cast<float>(beta), end - begin); });
    return Status::kOk;
  }
  if (!is_floating(x.dtype) || !is_floating(y.dtype)) return Status::kUnsupported;
  return visit_any(x.dtype, [&](auto source) {
    return visit_any(y.dtype, [&](auto target) {
      using X = decltype(source);
      using Y = decltype(target);
      for_blocks(x.elements(), kBlock, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          double sum = alpha * converted<double>(x.as<X>()[i]);
          if (beta != 0) sum += beta * converted<double>(y.as<Y>()[i]);
          y.as<Y>()[i] = converted<Y>(sum);
        }
      });
      return Status::kOk;
    });
  });
}

Status fill(const View& y, double value) {
  return visit_any(y.dtype, [&](auto element) {
    using T = decltype(element);
    const T filled = converted<T>(value);
    for_blocks(y.elements(), kBlock,
               [&](int64_t begin, int64_t end) { std::fill(y.as<T>() + begin, y.as<T>() + end, filled); });
    return Status::kOk;
  });
}

/// The axes of a copy, slowest first, without those of size 1 and with neighbours merged where both sides allow it.
struct Axes {
  int count = 0;
  int64_t size[kMaxRank], step_x[kMaxRank], step_y[kMaxRank];
};

Axes merged_axes(const View& x, const View& y) {
  Axes axes;
  for (int axis = 0; axis < x.shape.rank(); ++axis) {
    const int64_t size = x.shape[axis], step_x = x.strides[axis], step_y = y.strides[axis];
    if (size == 1) continue;
    const int last = axes.count - 1;
    if (last >= 0 && axes.step_x[last] == size * step_x && axes.step_y[last] == size * step_y) {
      axes.size[last] *= size;
      axes.step_x[last] = step_x;
      axes.step_y[last] = step_y;
    } else {
      axes.size[axes.count] = size;
      axes.step_x[axes.count] = step_x;
      axes.step_y[axes.count++] = step_y;
    }
  }
  if (axes.count == 0) axes = {1, {1}, {1}, {1}};
  return axes;
}

/// The axis along which y is adjacent goes last; before it the one along which x is, so that a transpose works in small
/// squares.
void order_axes(Axes& axes) {
  const auto move = [&](int from, int to) {
    std::swap(axes.size[from], axes.size[to]);
    std::swap(axes.step_x[from], axes.step_x[to]);
    std::swap(axes.step_y[from], axes.step_y[to]);
  };
  for (int axis = 0; axis < axes.count; ++axis) {
    if (axes.step_y[axis] == 1) move(axis, axes.count - 1);
  }
  for (int axis = 0; axis + 1 < axes.count; ++axis) {
    if (axes.step_x[axis] == 1) move(axis, axes.count - 2);
  }
}

Status copy(const View& x, const View& y) {
  const int64_t count = x.elements();
  if (count == 0) return Status::kOk;
  Axes axes = merged_axes(x, y);
  order_axes(axes);
  const int64_t size_x = static_cast<int64_t>(size_of(x.dtype)), size_y = static_cast<int64_t>(size_of(y.dtype));
  const int last = axes.count - 1;
  // Rows of the second last axis are the tasks; long lines are cut as well.
  constexpr int64_t kSquare = 32;
  const bool transposes = axes.count > 1 && axes.step_x[last] != 1;
  const int64_t line = transposes ? kSquare : kBlock,
                lines = transposes ? kSquare : rows_per_block(std::min(line, axes.size[last]));
  const int64_t rows = axes.count > 1 ? axes.size[last - 1] : 1;
  int64_t outer = 1;
  for (int axis = 0; axis < last - 1; ++axis) outer *= axes.size[axis];
  const int64_t row_tasks = block_count(rows, lines), line_tasks = block_count(axes.size[last], line);
  for_blocks(outer * row_tasks * line_tasks, transposes ? 16 : 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t j = task % line_tasks * line, i = task / line_tasks % row_tasks * lines;
      int64_t rest = task / line_tasks / row_tasks, from = 0, to = 0;
      for (int axis = last - 2; axis >= 0; --axis) {
        from += rest % axes.size[axis] * axes.step_x[axis];
        to += rest % axes.size[axis] * axes.step_y[axis];
        rest /= axes.size[axis];
      }
      for (int64_t row = i; row < std::min(rows, i + lines); ++row) {
        const int64_t at_x = from + (axes.count > 1 ? row * axes.step_x[last - 1] : 0) + j * axes.step_x[last];
        const int64_t at_y = to + (axes.count > 1 ? row * axes.step_y[last - 1] : 0) + j * axes.step_y[last];
        convert_line(x.dtype, static_cast<const char*>(x.data) + at_x * size_x, axes.step_x[last], y.dtype,
                     static_cast<char*>(y.data) + at_y * size_y, axes.step_y[last],
                     std::min(line, axes.size[last] - j));
      }
    }
  });
  return Status::kOk;
}

}  // namespace

void fill_copies(kernels::ElementwiseKernels& kernels) {
  kernels.axpby.set(axpby, {DType::kF32, DType::kBF16, DType::kF16, DType::kF64});
  kernels.fill.set(fill, kEveryType);
  kernels.copy.set(copy, kEveryType);
}

}  // namespace longhaul::cpu
