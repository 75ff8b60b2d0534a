// defines: leaves of products with few rows
#pragma once
#include "framework/backends/cpu/simd/functions.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

/// kRows dot products of x with one line of weights after another; four lines at a time keep several streams of memory
/// busy.
template <int kRows, int kLines, typename T>
LONGHAUL_INLINE void dot_lines(const float* x, int64_t inner, const T* w, int64_t stride, float* y, int64_t y_stride) {
  Floats total[kRows][kLines] = {};
  runs(inner, [&](int64_t k, int64_t m) {
    for (int line = 0; line < kLines; ++line) {
      const Floats weight = take(w + line * stride + k, m);
      for (int r = 0; r < kRows; ++r) total[r][line] = fma(take(x + r * inner + k, m), weight, total[r][line]);
    }
  });
  for (int r = 0; r < kRows; ++r) {
    for (int line = 0; line < kLines; ++line) y[r * y_stride + line] = sum(total[r][line]);
  }
}

template <int kRows, typename T>
LONGHAUL_INLINE void dot_columns_of(const float* x, int64_t inner, const T* w, int64_t stride, int64_t columns,
                                    float* y, int64_t y_stride) {
  int64_t j = 0;
  for (; j + 4 <= columns; j += 4) dot_lines<kRows, 4>(x, inner, w + j * stride, stride, y + j, y_stride);
  for (; j < columns; ++j) dot_lines<kRows, 1>(x, inner, w + j * stride, stride, y + j, y_stride);
}

template <typename T>
void dot_columns(const float* x, int64_t rows, int64_t inner, const void* w, int64_t stride, int64_t columns, float* y,
                 int64_t y_stride) {
  switch (rows) {
    case 1:
      return dot_columns_of<1>(x, inner, in<T>(w), stride, columns, y, y_stride);
    case 2:
      return dot_columns_of<2>(x, inner, in<T>(w), stride, columns, y, y_stride);
    case 3:
      return dot_columns_of<3>(x, inner, in<T>(w), stride, columns, y, y_stride);
    default:
      return dot_columns_of<4>(x, inner, in<T>(w), stride, columns, y, y_stride);
  }
}

/// y [kRows, kRuns kLanes] = x w, w's lines read in order; the sums stay in registers.
template <int kRows, int kRuns, typename T>
LONGHAUL_INLINE void dot_panel(const float* x, int64_t inner, const T* w, int64_t stride, float* y, int64_t y_stride) {
  Floats total[kRows][kRuns] = {};
  for (int64_t k = 0; k < inner; ++k) {
    for (int run = 0; run < kRuns; ++run) {
      const Floats weight = load(w + k * stride + run * kLanes);
      for (int r = 0; r < kRows; ++r) total[r][run] = fma(broadcast(x[r * inner + k]), weight, total[r][run]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int run = 0; run < kRuns; ++run) store(y + r * y_stride + run * kLanes, total[r][run]);
  }
}

template <int kRows, typename T>
LONGHAUL_INLINE void dot_rows_of(const float* x, int64_t inner, const T* w, int64_t stride, int64_t columns, float* y,
                                 int64_t y_stride) {
  int64_t j = 0;
  for (; j + 4 * kLanes <= columns; j += 4 * kLanes) dot_panel<kRows, 4>(x, inner, w + j, stride, y + j, y_stride);
  for (; j + kLanes <= columns; j += kLanes) dot_panel<kRows, 1>(x, inner, w + j, stride, y + j, y_stride);
  if (j == columns) return;
  Floats total[kRows] = {};
  for (int64_t k = 0; k < inner; ++k) {
    const Floats weight = load_first(w + k * stride + j, columns - j);
    for (int r = 0; r < kRows; ++r) total[r] = fma(broadcast(x[r * inner + k]), weight, total[r]);
  }
  for (int r = 0; r < kRows; ++r) store_first(y + r * y_stride + j, total[r], columns - j);
}

template <typename T>
void dot_rows(const float* x, int64_t rows, int64_t inner, const void* w, int64_t stride, int64_t columns, float* y,
              int64_t y_stride) {
  switch (rows) {
    case 1:
      return dot_rows_of<1>(x, inner, in<T>(w), stride, columns, y, y_stride);
    case 2:
      return dot_rows_of<2>(x, inner, in<T>(w), stride, columns, y, y_stride);
    case 3:
      return dot_rows_of<3>(x, inner, in<T>(w), stride, columns, y, y_stride);
    default:
      return dot_rows_of<4>(x, inner, in<T>(w), stride, columns, y, y_stride);
  }
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
