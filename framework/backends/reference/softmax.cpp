#include <cmath>
#include <limits>

#include "framework/backends/reference/element.h"
#include "framework/backends/reference/fill.h"

namespace longhaul::reference {
namespace {

using kernels::Status;

/// Largest of a row; a NaN stays the peak, so that it reaches the result.
template <typename T>
Wide<T> peak_of(const T* x, int64_t n) {
  Wide<T> peak = -std::numeric_limits<Wide<T>>::infinity();
  for (int64_t j = 0; j < n; ++j) {
    const Wide<T> value = converted<Wide<T>>(x[j]);
    if (value > peak || std::isnan(value)) peak = value;
    if (std::isnan(peak)) break;
  }
  return peak;
}

template <typename T>
void softmax_rows(const T* x, T* y, int64_t rows, int64_t n) {  // x, y [rows, n]
  using R = Wide<T>;
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const R peak = peak_of(x, n);
    if (std::isinf(peak) && peak < 0) {  // nothing is visible: zeros, not 0/0
      for (int64_t j = 0; j < n; ++j) y[j] = converted<T>(R(0));
      continue;
    }
    R total = 0;
    for (int64_t j = 0; j < n; ++j) total += std::exp(converted<R>(x[j]) - peak);
    for (int64_t j = 0; j < n; ++j) y[j] = converted<T>(std::exp(converted<R>(x[j]) - peak) / total);
  }
}

template <typename T>
void log_softmax_rows(const T* x, T* y, int64_t rows, int64_t n) {  // x, y [rows, n]
  using R = Wide<T>;
  for (int64_t r = 0; r < rows; ++r, x += n, y += n) {
    const R peak = peak_of(x, n);
    R total = 0;
    for (int64_t j = 0; j < n; ++j) total += std::exp(converted<R>(x[j]) - peak);
    const bool empty = std::isinf(peak) && peak < 0;
    const R normaliser = empty ? R(0) : peak + std::log(total);  // x - 0 leaves -inf
    for (int64_t j = 0; j < n; ++j) y[j] = converted<T>(converted<R>(x[j]) - normaliser);
  }
}

template <typename T>
void backward_rows(const T* y, const T* dy, T* dx, int64_t rows, int64_t n, bool log) {  // y, dy, dx [rows, n]
  using R = Wide<T>;
  for (int64_t r = 0; r < rows; ++r, y += n, dy += n, dx += n) {
    R total = 0;
    for (int64_t j = 0; j < n; ++j) total += converted<R>(dy[j]) * (log ? R(1) : converted<R>(y[j]));
    for (int64_t j = 0; j < n; ++j) {
      const R out = converted<R>(y[j]), up = converted<R>(dy[j]);
      dx[j] = converted<T>(log ? up - std::exp(out) * total : out * (up - total));
    }
  }
}

int64_t width_of(const View& x) { return x.shape[-1]; }
int64_t rows_of(const View& x) { return width_of(x) ? x.elements() / width_of(x) : 0; }

Status forward(const View& x, const View& y) {
  return visit(x.dtype, [&](auto element) {
    using T = decltype(element);
    softmax_rows(x.as<T>(), y.as<T>(), rows_of(x), width_of(x));
    return Status::kOk;
  });
}

Status log_forward(const View& x, const View& y) {
  return visit(x.dtype, [&](auto element) {
    using T = decltype(element);
    log_softmax_rows(x.as<T>(), y.as<T>(), rows_of(x), width_of(x));
    return Status::kOk;
  });
}

template <bool kLog>
Status backward(const View& y, const View& dy, const View& dx) {
  return visit(y.dtype, [&](auto element) {
    using T = decltype(element);
    backward_rows(y.as<T>(), dy.as<T>(), dx.as<T>(), rows_of(y), width_of(y), kLog);
    return Status::kOk;
  });
}

}  // namespace

void fill_softmax(kernels::SoftmaxKernels& kernels) {
  kernels.forward.set(forward, kFloating);
  kernels.backward.set(backward<false>, kFloating);
  kernels.log_forward.set(log_forward, kFloating);
  kernels.log_backward.set(backward<true>, kFloating);
}

}  // namespace longhaul::reference
