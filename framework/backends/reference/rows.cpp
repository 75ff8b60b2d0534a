#include "framework/backends/reference/element.h"
#include "framework/backends/reference/fill.h"

namespace longhaul::reference {
namespace {

using kernels::Status;

/// Every index lies in [-1, size).
bool in_range(const View& index, int64_t size) {
  for (int64_t m = 0; m < index.elements(); ++m) {
    if (index.as<int32_t>()[m] < -1 || index.as<int32_t>()[m] >= size) return false;
  }
  return true;
}

Status gather(const View& table, const View& index, const View& y) {
  if (!in_range(index, table.shape[0])) return Status::kFailed;
  return visit_any(table.dtype, [&](auto from) {
    return visit_any(y.dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      const int64_t width = table.shape[1];
      for (int64_t m = 0; m < index.elements(); ++m) {
        const int64_t row = index.as<int32_t>()[m];
        for (int64_t j = 0; j < width; ++j) {
          y.as<To>()[m * width + j] = row < 0 ? converted<To>(0.0f) : converted<To>(table.as<From>()[row * width + j]);
        }
      }
      return Status::kOk;
    });
  });
}

Status scatter_add(const View& dy, const View& index, const View& dtable, const View&, const View&) {
  if (!in_range(index, dtable.shape[0])) return Status::kFailed;
  return visit(dy.dtype, [&](auto element) {
    using T = decltype(element);
    const int64_t width = dtable.shape[1];
    for (int64_t m = 0; m < index.elements(); ++m) {
      const int64_t row = index.as<int32_t>()[m];
      for (int64_t j = 0; row >= 0 && j < width; ++j) {
        dtable.as<Wide<T>>()[row * width + j] += converted<Wide<T>>(dy.as<T>()[m * width + j]);
      }
    }
    return Status::kOk;
  });
}

Status replace(const View& x, const View& index, const View& table) {
  if (!in_range(index, table.shape[0])) return Status::kFailed;
  return visit_any(x.dtype, [&](auto from) {
    return visit_any(table.dtype, [&](auto to) {
      using From = decltype(from);
      using To = decltype(to);
      const int64_t width = table.shape[1];
      for (int64_t m = 0; m < index.elements(); ++m) {
        const int64_t row = index.as<int32_t>()[m];
        for (int64_t j = 0; row >= 0 && j < width; ++j)
          table.as<To>()[row * width + j] = converted<To>(x.as<From>()[m * width + j]);
      }
      return Status::kOk;
    });
  });
}

}  // namespace

void fill_rows(kernels::RowKernels& kernels) {
  kernels.gather.set(gather, kEveryType);
  kernels.scatter_add.set(scatter_add, kFloating);
  kernels.replace.set(replace, kEveryType);
}

}  // namespace longhaul::reference
