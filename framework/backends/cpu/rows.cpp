#include "framework/backends/cpu/convert.h"
#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/parallel.h"

namespace longhaul::cpu {
namespace {

using kernels::Status;

bool in_range(const View& index, int64_t size) {
  const int32_t* rows = index.as<int32_t>();
  return std::all_of(rows, rows + index.elements(), [size](int32_t row) { return row >= -1 && row < size; });
}

Status gather(const View& table, const View& index, const View& y) {
  if (!in_range(index, table.shape[0])) return Status::kFailed;
  const int64_t width = table.shape[1];
  const size_t row_bytes = static_cast<size_t>(width) * size_of(y.dtype);
  for_blocks(index.elements(), rows_per_block(width), [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      const int64_t row = index.as<int32_t>()[m];
      if (row < 0)
        std::fill_n(static_cast<char*>(at(y, m * width)), row_bytes, char{0});
      else
        convert_line(table.dtype, at(table, row * width), 1, y.dtype, at(y, m * width), 1, width);
    }
  });
  return Status::kOk;
}

/// Counting sort: order holds the m of table row 0, then of row 1, ..., each in increasing order; starts[v] is where
/// row v begins.
void sort_by_row(const int32_t* index, int64_t count, int32_t* order, int32_t* starts, int64_t rows) {
  std::fill_n(starts, rows + 1, 0);
  for (int64_t m = 0; m < count; ++m) {
    if (index[m] >= 0) ++starts[index[m] + 1];
  }
  for (int64_t v = 0; v < rows; ++v) starts[v + 1] += starts[v];
  // starts[v] moves to the end of row v while its entries are placed, and back afterwards.
  for (int64_t m = 0; m < count; ++m) {
    if (index[m] >= 0) order[starts[index[m]]++] = static_cast<int32_t>(m);
  }
  for (int64_t v = rows; v > 0; --v) starts[v] = starts[v - 1];
  starts[0] = 0;
}

Status scatter_add(const View& dy, const View& index, const View& dtable, const View& order, const View& starts) {
  if (!in_range(index, dtable.shape[0])) return Status::kFailed;
  const auto add = leaves().axpby[lane_of(dy.dtype)][0];
  const int64_t rows = dtable.shape[0], width = dtable.shape[1], count = index.elements();
  if (count == 0) return Status::kOk;
  int32_t *sorted = order.as<int32_t>(), *start = starts.as<int32_t>();
  sort_by_row(index.as<int32_t>(), count, sorted, start, rows);
  // Columns are cut as well: a few frequent tokens must not leave all work to one thread.
  constexpr int64_t kColumns = 128;
  const int64_t cuts = block_count(width, kColumns);
  const int64_t row_block = std::max<int64_t>(1, rows / 64);
  const int64_t row_blocks = block_count(rows, row_block);
#pragma omp parallel for schedule(dynamic, 1) if (count * width > kBlock)
  for (int64_t task = 0; task < row_blocks * cuts; ++task) {
    const int64_t first = task % cuts * kColumns, columns = std::min(kColumns, width - first);
    const int64_t begin = task / cuts * row_block, end = std::min(rows, begin + row_block);
    for (int64_t v = begin; v < end; ++v) {
      for (int32_t i = start[v]; i < start[v + 1]; ++i)
        add(at(dy, sorted[i] * width + first), at(dtable, v * width + first), 1.0f, 1.0f, columns);
    }
  }
  return Status::kOk;
}

Status replace(const View& x, const View& index, const View& table) {
  if (!in_range(index, table.shape[0])) return Status::kFailed;
  const int64_t width = table.shape[1];
  for_blocks(index.elements(), rows_per_block(width), [&](int64_t begin, int64_t end) {
    for (int64_t m = begin; m < end; ++m) {
      const int64_t row = index.as<int32_t>()[m];
      if (row >= 0) convert_line(x.dtype, at(x, m * width), 1, table.dtype, at(table, row * width), 1, width);
    }
  });
  return Status::kOk;
}

}  // namespace

void fill_rows(kernels::RowKernels& kernels) {
  kernels.gather.set(gather, kEveryType);
  kernels.scatter_add.set(scatter_add, kFloating);
  kernels.replace.set(replace, kEveryType);
}

}  // namespace longhaul::cpu
