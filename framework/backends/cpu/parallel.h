// defines: for_blocks, block_count, contained, scratch, at, kBlock, kFloating
#pragma once
#include <algorithm>
#include <cstdint>
#include <exception>
#include <vector>

#include "framework/kernels/kernel.h"

namespace longhaul::cpu {

inline constexpr kernels::DTypeSet kFloating = {DType::kF32, DType::kBF16};
inline constexpr kernels::DTypeSet kEveryType = {DType::kF32, DType::kBF16, DType::kF16, DType::kF64,
                                                 DType::kI32, DType::kI64,  DType::kU8};

/// Elements of one task of an element-wise kernel: large enough to hide the cost of a task, a multiple of every vector.
inline constexpr int64_t kBlock = 16384;

constexpr int64_t block_count(int64_t n, int64_t block) { return (n + block - 1) / block; }

/// f(begin, end) for every block of [0, n), in parallel. The cut depends on n and block only.
template <typename F>
void for_blocks(int64_t n, int64_t block, F f) {
  const int64_t blocks = block_count(n, block);
#pragma omp parallel for schedule(static) if (blocks > 1)
  for (int64_t b = 0; b < blocks; ++b) f(b * block, std::min(n, (b + 1) * block));
}

/// f() inside a parallel region, which no exception may leave; false also when there was no memory for it.
template <typename F>
bool contained(F f) noexcept {
  try {
    return f();
  } catch (const std::exception&) {
    return false;
  }
}

/// Rows of one task when a row has `width` elements.
constexpr int64_t rows_per_block(int64_t width) { return std::max<int64_t>(1, kBlock / std::max<int64_t>(1, width)); }

/// Rows of one partial sum over rows: at most 64, which keeps f32 sums exact enough, unless that makes more than 256
/// partial sums, which should stay small beside the tensor.
constexpr int64_t sum_block(int64_t rows, int64_t width) {
  return std::max({std::min<int64_t>(64, rows_per_block(width)), block_count(rows, 256), int64_t{1}});
}

/// Element `index` of a contiguous tensor, of any type.
inline void* at(const View& view, int64_t index) {
  return view.present ? static_cast<char*>(view.data) + index * static_cast<int64_t>(size_of(view.dtype)) : nullptr;
}

/// Workspace of the calling thread: at least `count` floats, uninitialised, kept for the next call. Each slot is one
/// buffer.
enum class Slot { kPartials, kTile, kLeft, kRight, kCount };
float* scratch(Slot slot, int64_t count);

/// total [width] += the rows of partial [blocks, width], in order; in parallel over columns.
void add_partials(const float* partial, int64_t blocks, int64_t width, int64_t stride, float* total);

}  // namespace longhaul::cpu
