#include "framework/backends/reference/element.h"
#include "framework/backends/reference/fill.h"

namespace longhaul::reference {
namespace {

using kernels::Status;

Status column_sum(const View& x, const View& y, bool accumulate) {
  return visit(x.dtype, [&](auto element) {
    using T = decltype(element);
    const int64_t rows = x.shape[0], columns = x.shape[1];
    for (int64_t j = 0; j < columns; ++j) {
      Wide<T> total = 0;
      for (int64_t r = 0; r < rows; ++r) total += converted<Wide<T>>(x.as<T>()[r * columns + j]);
      y.as<Wide<T>>()[j] = accumulate ? y.as<Wide<T>>()[j] + total : total;
    }
    return Status::kOk;
  });
}

Status row_sum(const View& x, const View& y) {
  return visit(x.dtype, [&](auto element) {
    using T = decltype(element);
    const int64_t rows = x.shape[0], columns = x.shape[1];
    for (int64_t r = 0; r < rows; ++r) {
      Wide<T> total = 0;
      for (int64_t j = 0; j < columns; ++j) total += converted<Wide<T>>(x.as<T>()[r * columns + j]);
      y.as<Wide<T>>()[r] = total;
    }
    return Status::kOk;
  });
}

template <bool kSquare>
Status total(const View& x, const View& y) {
  return visit(x.dtype, [&](auto element) {
    using T = decltype(element);
    double sum = 0;
    for (int64_t i = 0; i < x.elements(); ++i) {
      const double value = converted<double>(x.as<T>()[i]);
      sum += kSquare ? value * value : value;
    }
    *y.as<double>() = sum;
    return Status::kOk;
  });
}

template <typename T>
Status arg_max_rows(const View& x, const View& y) {
  const int64_t columns = x.shape[1];
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    int64_t best = 0;
    for (int64_t c = 1; c < columns; ++c) {
      if (converted<Wide<T>>(x.as<T>()[r * columns + c]) > converted<Wide<T>>(x.as<T>()[r * columns + best])) best = c;
    }
    y.as<int32_t>()[r] = static_cast<int32_t>(best);
  }
  return Status::kOk;
}

Status arg_max(const View& x, const View& y) {
  return visit(x.dtype, [&](auto element) { return arg_max_rows<decltype(element)>(x, y); });
}

}  // namespace

void fill_reduce(kernels::ReduceKernels& kernels) {
  kernels.column_sum.set(column_sum, kFloating);
  kernels.row_sum.set(row_sum, kFloating);
  kernels.sum_of_squares.set(total<true>, kFloating);
  kernels.sum.set(total<false>, kFloating);
  kernels.arg_max.set(arg_max, kFloating);
}

}  // namespace longhaul::reference
