// defines: leaves of products with few rows
#pragma once
#include "framework/backends/cpu/simd/functions.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

/// kRows dot products of x with kLines neighbouring lines of weights; kChains sums per line hide the latency of one.
template <int kRows, int kLines, int kChains, typename T>
LONGHAUL_INLINE void dot_lines(const float* x, int64_t inner, const T* w, int64_t stride, float* y, int64_t y_stride) {
  Floats total[kRows][kLines][kChains] = {};
  const auto add = [&](int64_t k, int64_t m, int chain) __attribute__((always_inline)) {
    for (int line = 0; line < kLines; ++line) {
      const Floats weight = take(w + line * stride + k, m);
      for (int r = 0; r < kRows; ++r)
        total[r][line][chain] = fma(take(x + r * inner + k, m), weight, total[r][line][chain]);
    }
  };
  int64_t k = 0;
  for (; k + kChains * kLanes <= inner; k += kChains * kLanes) {
    for (int chain = 0; chain < kChains; ++chain) add(k + chain * kLanes, kLanes, chain);
  }
  runs(inner - k, [&](int64_t i, int64_t m) { add(k + i, m, 0); });
  for (int r = 0; r < kRows; ++r) {
    for (int line = 0; line < kLines; ++line) {
      Floats all = total[r][line][0];
      for (int chain = 1; chain < kChains; ++chain) all += total[r][line][chain];
      y[r * y_stride + line] = sum(all);
    }
  }
}

/// Long lines are read four at a time, which keeps several streams of memory busy. Short ones are read in the order of
/// memory: a stream that ends after a page or less is over before the machine fetches ahead.
template <int kRows, typename T>
LONGHAUL_INLINE void dot_columns_of(const float* x, int64_t inner, const T* w, int64_t stride, int64_t columns,
                                    float* y, int64_t y_stride) {
  constexpr int64_t kLong = 2048;
  constexpr int kChains = kRows <= 2 ? 4 : 2;
  int64_t j = 0;
  if (inner >= kLong) {
    for (; j + 4 <= columns; j += 4) dot_lines<kRows, 4, 1>(x, inner, w + j * stride, stride, y + j, y_stride);
  }
  for (; j < columns; ++j) dot_lines<kRows, 1, kChains>(x, inner, w + j * stride, stride, y + j, y_stride);
}

template <typename T>
LONGHAUL_LEAF void dot_columns(const float* x, int64_t rows, int64_t inner, const void* w, int64_t stride,
                               int64_t columns, float* y, int64_t y_stride) {
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

inline constexpr int kAhead = 8;  // lines

/// y [kRows, kRuns kLanes] = x w, w's lines read in order; the sums stay in registers.
template <int kRows, int kRuns, typename T>
LONGHAUL_INLINE void dot_panel(const float* x, int64_t inner, const T* w, int64_t stride, float* y, int64_t y_stride) {
  Floats total[kRows][kRuns] = {};
  for (int64_t k = 0; k < inner; ++k) {
    for (int run = 0; run < kRuns; ++run) {
      const T* place = w + k * stride + run * kLanes;
      __builtin_prefetch(place + kAhead * stride);
      const Floats weight = load(place);
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
  constexpr int kRuns = (kLanes == 16 ? 16 : 8) / kRows;  // as many sums as there are registers for
  for (; j + kRuns * kLanes <= columns; j += kRuns * kLanes)
    dot_panel<kRows, kRuns>(x, inner, w + j, stride, y + j, y_stride);
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
LONGHAUL_LEAF void dot_rows(const float* x, int64_t rows, int64_t inner, const void* w, int64_t stride, int64_t columns,
                            float* y, int64_t y_stride) {
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
