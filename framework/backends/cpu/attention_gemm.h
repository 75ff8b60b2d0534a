// defines: multiply_tile
#pragma once
#include "framework/backends/cpu/attention_vector.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

/// Operands of tile products are 32-bit words: an f32, or a pair of bf16 that are adjacent along the summed axis.
LONGHAUL_INLINE Floats multiply_words(Words a, Words b, Floats sum, std::false_type) {
  return fma(reinterpret_cast<Floats>(a), reinterpret_cast<Floats>(b), sum);
}
#if defined(__AVX512BF16__)
LONGHAUL_INLINE Floats multiply_words(Words a, Words b, Floats sum, std::true_type) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}
#endif

// Registers of one block: rows x vectors sums, one row of b, one broadcast word of a.
#if defined(__AVX512F__)
inline constexpr int kBlockRows = 6, kBlockVectors = 4;
#elif defined(__AVX2__)
inline constexpr int kBlockRows = 6, kBlockVectors = 2;
#else
inline constexpr int kBlockRows = 4, kBlockVectors = 2;
#endif

/// The last k of a block are summed row by row, each row followed by its stores. A burst of all stores at the end of the
/// block would hold up the sums of the next one for as long as the stores take.
inline constexpr int64_t kLastSteps = 2;

/// c[kRows][kVectors kLanes] (+)= sum over k < depth of a[m a_row + k a_step] b[k b_row + n]; depth >= kLastSteps
template <bool kPairs, bool kAdd, int kRows, int kVectors>
LONGHAUL_INLINE void multiply_block(const uint32_t* a, int64_t a_row, int64_t a_step, const uint32_t* b, int64_t b_row,
                                    float* c, int64_t c_row, int64_t depth) {
  Floats sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[m][v] = kAdd ? load(c + m * c_row + v * kLanes) : Floats{};
  }
  const int64_t last = depth - kLastSteps;
  for (int64_t k = 0; k < last; ++k) {
    Words row[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) row[v] = load_words(b + k * b_row + v * kLanes);
#pragma GCC unroll 8
    for (int m = 0; m < kRows; ++m) {
      const Words word = broadcast_word(a[m * a_row + k * a_step]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v)
        sum[m][v] = multiply_words(word, row[v], sum[m][v], std::bool_constant<kPairs>{});
    }
  }
#pragma GCC unroll 8
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 2
    for (int64_t k = last; k < last + kLastSteps; ++k) {
      const Words word = broadcast_word(a[m * a_row + k * a_step]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v)
        sum[m][v] =
            multiply_words(word, load_words(b + k * b_row + v * kLanes), sum[m][v], std::bool_constant<kPairs>{});
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) store(c + m * c_row + v * kLanes, sum[m][v]);
    asm volatile("" ::: "memory");  // the compiler keeps this order
  }
}

template <bool kPairs, bool kAdd, int kVectors>
__attribute__((noinline)) void multiply_columns(const uint32_t* a, int64_t a_row, int64_t a_step, const uint32_t* b,
                                                int64_t b_row, float* c, int64_t c_row, int64_t rows, int64_t depth) {
  int64_t m = 0;
  for (; m + kBlockRows <= rows; m += kBlockRows) {
    multiply_block<kPairs, kAdd, kBlockRows, kVectors>(a + m * a_row, a_row, a_step, b, b_row, c + m * c_row, c_row,
                                                       depth);
  }
  if (rows - m >= 4) {
    multiply_block<kPairs, kAdd, 4, kVectors>(a + m * a_row, a_row, a_step, b, b_row, c + m * c_row, c_row, depth);
    m += 4;
  }
  if (rows - m >= 2) {
    multiply_block<kPairs, kAdd, 2, kVectors>(a + m * a_row, a_row, a_step, b, b_row, c + m * c_row, c_row, depth);
    m += 2;
  }
  if (m < rows)
    multiply_block<kPairs, kAdd, 1, kVectors>(a + m * a_row, a_row, a_step, b, b_row, c + m * c_row, c_row, depth);
}

/// c [rows, columns] (+)= a b with words as above; columns is a multiple of 16. `depth` counts words, kLastSteps at
/// least. Every element is summed in the order of k, whatever the blocks.
template <bool kPairs, bool kAdd>
LONGHAUL_INLINE void multiply_tile(const uint32_t* a, int64_t a_row, int64_t a_step, const uint32_t* b, int64_t b_row,
                                   float* c, int64_t c_row, int64_t rows, int64_t columns, int64_t depth) {
  int64_t n = 0;
  for (; n + kBlockVectors * kLanes <= columns; n += kBlockVectors * kLanes) {
    multiply_columns<kPairs, kAdd, kBlockVectors>(a, a_row, a_step, b + n, b_row, c + n, c_row, rows, depth);
  }
  if constexpr (kBlockVectors * kLanes > 32) {
    if (n + 2 * kLanes <= columns) {
      multiply_columns<kPairs, kAdd, 2>(a, a_row, a_step, b + n, b_row, c + n, c_row, rows, depth);
      n += 2 * kLanes;
    }
  }
  for (; n < columns; n += kLanes)
    multiply_columns<kPairs, kAdd, 1>(a, a_row, a_step, b + n, b_row, c + n, c_row, rows, depth);
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
