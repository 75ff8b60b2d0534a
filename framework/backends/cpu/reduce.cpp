#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/parallel.h"

namespace longhaul::cpu {
namespace {

using kernels::Status;

Status column_sum(const View& x, const View& y, bool accumulate) {
  const auto leaf = leaves().add_rows[lane_of(x.dtype)];
  const int64_t rows = x.shape[0], columns = x.shape[1];
  const int64_t block = sum_block(rows, columns);
  const int64_t blocks = block_count(rows, block);
  float* partial = scratch(Slot::kPartials, blocks * columns);
  for_blocks(rows, block, [&](int64_t begin, int64_t end) {
    float* own = partial + begin / block * columns;
    std::fill_n(own, columns, 0.0f);
    leaf(at(x, begin * columns), end - begin, columns, own);
  });
  if (!accumulate) std::fill_n(y.as<float>(), columns, 0.0f);
  add_partials(partial, blocks, columns, columns, y.as<float>());
  return Status::kOk;
}

Status row_sum(const View& x, const View& y) {
  const auto leaf = leaves().row_sum[lane_of(x.dtype)];
  const int64_t columns = x.shape[1];
  for_blocks(x.shape[0], rows_per_block(columns), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) y.as<float>()[r] = leaf(at(x, r * columns), columns);
  });
  return Status::kOk;
}

template <bool kSquares>
Status total(const View& x, const View& y) {
  const auto leaf = leaves().sum[lane_of(x.dtype)];
  const int64_t blocks = block_count(x.elements(), kBlock);
  double* partial = reinterpret_cast<double*>(scratch(Slot::kPartials, 2 * blocks));
  for_blocks(x.elements(), kBlock,
             [&](int64_t begin, int64_t end) { partial[begin / kBlock] = leaf(at(x, begin), end - begin, kSquares); });
  double sum = 0;
  for (int64_t b = 0; b < blocks; ++b) sum += partial[b];
  *y.as<double>() = sum;
  return Status::kOk;
}

template <typename T>
Status arg_max_rows(const View& x, const View& y) {
  const int64_t columns = x.shape[1];
  for_blocks(x.shape[0], rows_per_block(columns), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* row = x.as<T>() + r * columns;
      int64_t best = 0;
      for (int64_t c = 1; c < columns; ++c) {
        if (static_cast<float>(row[c]) > static_cast<float>(row[best])) best = c;
      }
      y.as<int32_t>()[r] = static_cast<int32_t>(best);
    }
  });
  return Status::kOk;
}

Status arg_max(const View& x, const View& y) {
  return x.dtype == DType::kBF16 ? arg_max_rows<bfloat16>(x, y) : arg_max_rows<float>(x, y);
}

}  // namespace

void fill_reduce(kernels::ReduceKernels& kernels) {
  kernels.column_sum.set(column_sum, kFloating);
  kernels.row_sum.set(row_sum, kFloating);
  kernels.sum_of_squares.set(total<true>, kFloating);
  kernels.sum.set(total<false>, kFloating);
  kernels.arg_max.set(arg_max, kFloating);
}

}  // namespace longhaul::cpu
