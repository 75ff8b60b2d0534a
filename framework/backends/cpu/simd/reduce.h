// defines: leaves of sums
#pragma once
#include "framework/backends/cpu/simd/functions.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

/// total [columns] += rows of x, in order.
template <typename T>
LONGHAUL_LEAF void add_rows(const void* x_, int64_t rows, int64_t columns, float* total) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* x = in<T>(x_) + r * columns;
    runs(columns, [&](int64_t i, int64_t m) { put(total + i, take(total + i, m) + take(x + i, m), m); });
  }
}

template <typename T>
LONGHAUL_LEAF float row_sum(const void* x_, int64_t n) {
  const T* x = in<T>(x_);
  Floats total[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    for (int k = 0; k < 4; ++k) total[k] += load(x + i + k * kLanes);
  }
  runs(n - i, [&](int64_t j, int64_t m) { total[0] += take(x + i + j, m); });
  return sum((total[0] + total[1]) + (total[2] + total[3]));
}

typedef float NarrowFloats __attribute__((vector_size(2 * kLanes)));
typedef double Doubles __attribute__((vector_size(4 * kLanes)));

/// In f64: squares of large gradients stay finite.
template <typename T>
LONGHAUL_LEAF double sum_all(const void* x_, int64_t n, bool squares) {
  const T* x = in<T>(x_);
  Doubles total[2] = {};
  runs(n, [&](int64_t i, int64_t m) {
    const Floats v = take(x + i, m);
    NarrowFloats part[2];
    std::memcpy(part, &v, sizeof v);
    for (int k = 0; k < 2; ++k) {
      const Doubles wide = __builtin_convertvector(part[k], Doubles);
      total[k] += squares ? wide * wide : wide;
    }
  });
  total[0] += total[1];
  double result = 0;
  for (int i = 0; i < kLanes / 2; ++i) result += total[0][i];
  return result;
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
