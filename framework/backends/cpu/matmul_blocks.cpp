#include <atomic>

#include "framework/backends/cpu/convert.h"
#include "framework/backends/cpu/isa.h"
#include "framework/backends/cpu/matmul.h"
#include "framework/backends/cpu/onednn.h"
#include "framework/backends/cpu/parallel.h"

namespace longhaul::cpu {
namespace {

using kernels::Status;

/// A part of the output and of the inner size.
struct Block {
  int64_t batch, row, rows, column, columns, inner, inners;
};

/// Size of the output blocks. Large ones let the library pack its operands once; there should be at least 8 for the
/// threads, and small outputs are cut further while that costs little. A function of the shape only.
struct BlockSize {
  int64_t rows = 512, columns = 512;
  int64_t count(const Gemm& g) const { return g.batches * block_count(g.m, rows) * block_count(g.n, columns); }
};

BlockSize block_size(const Gemm& g) {
  BlockSize size;
  const auto halve = [&](int64_t wanted, int64_t floor) {
    while (size.count(g) < wanted && (size.rows > floor || size.columns > floor)) {
      const int64_t rows = std::min(size.rows, g.m), columns = std::min(size.columns, g.n);
      const bool cut_rows = size.rows > floor && (rows >= columns || size.columns <= floor);
      (cut_rows ? size.rows : size.columns) /= 2;
    }
  };
  halve(8, 256);
  halve(4, 64);
  return size;
}

bool direct(const Gemm& g) { return g.options.alpha == 1.0f && (g.in != DType::kBF16 || isa() >= Isa::kAvx512Bf16); }

/// One call of the library on operands in place. False where it has nothing for this shape and type.
bool run_direct(const Gemm& g, const Block& block, DType out, void* c, int64_t lead_c, const void* bias,
                bool accumulate) {
  ProductShape shape;
  shape.m = block.rows, shape.n = block.columns, shape.k = block.inners;
  shape.lead_a = g.lead_a, shape.lead_b = g.lead_b, shape.lead_c = lead_c;
  shape.in = g.in, shape.out = out, shape.bias = g.bias_type;
  shape.transpose_a = g.options.transpose_a, shape.transpose_b = g.options.transpose_b;
  shape.has_bias = bias != nullptr, shape.accumulate = accumulate;
  const Product* product = ready_product(shape);
  return product && run_product(*product, g.a_at(block.batch, block.row, block.inner),
                                g.b_at(block.batch, block.inner, block.column), bias, c);
}

/// tile [rows, columns] f32 = the product of the block, through f32 copies of pieces of both operands: for types the
/// machine has no instructions for.
bool run_converted(const Gemm& g, const Block& block, float* tile) {
  constexpr int64_t kPiece = 512;
  const bool ta = g.options.transpose_a, tb = g.options.transpose_b;
  for (int64_t k = 0; k < block.inners; k += kPiece) {
    const int64_t count = std::min(kPiece, block.inners - k), inner = block.inner + k;
    float* a = scratch(Slot::kLeft, block.rows * count);
    float* b = scratch(Slot::kRight, block.columns * count);
    const int64_t a_lines = ta ? count : block.rows, a_width = ta ? block.rows : count;
    const int64_t b_lines = tb ? block.columns : count, b_width = tb ? count : block.columns;
    for (int64_t i = 0; i < a_lines; ++i) {
      convert_line(g.in, ta ? g.a_at(block.batch, block.row, inner + i) : g.a_at(block.batch, block.row + i, inner), 1,
                   DType::kF32, a + i * a_width, 1, a_width);
    }
    for (int64_t i = 0; i < b_lines; ++i) {
      convert_line(g.in,
                   tb ? g.b_at(block.batch, inner, block.column + i) : g.b_at(block.batch, inner + i, block.column), 1,
                   DType::kF32, b + i * b_width, 1, b_width);
    }
    ProductShape shape;
    shape.m = block.rows, shape.n = block.columns, shape.k = count;
    shape.lead_a = a_width, shape.lead_b = b_width, shape.lead_c = block.columns;
    shape.transpose_a = ta, shape.transpose_b = tb;
    shape.accumulate = k > 0;
    const Product* product = ready_product(shape);
    if (!product || !run_product(*product, a, b, nullptr, tile)) return false;
  }
  return true;
}

bool run_to_tile(const Gemm& g, const Block& block, float* tile) {
  const bool usable = g.in == DType::kF32 || isa() >= Isa::kAvx512Bf16;
  return (usable && run_direct(g, block, DType::kF32, tile, block.columns, nullptr, false)) ||
         run_converted(g, block, tile);
}

bool run_block(const Gemm& g, const Block& block) {
  if (direct(g) && run_direct(g, block, g.out, g.c_at(block.batch, block.row, block.column), g.lead_c,
                              g.bias_at(block.column), g.options.accumulate)) {
    return true;
  }
  float* tile = scratch(Slot::kTile, block.rows * block.columns);
  if (!run_to_tile(g, block, tile)) return false;
  for (int64_t i = 0; i < block.rows; ++i)
    finish_line(g, tile + i * block.columns, block.batch, block.row + i, block.column, block.columns);
  return true;
}

/// Below this many multiply-adds waking the other threads costs more than it gives.
constexpr int64_t kParallel = 1 << 17;

}  // namespace

Status multiply_blocks(const Gemm& g) {
  const BlockSize size = block_size(g);
  const int64_t down = block_count(g.m, size.rows), across = block_count(g.n, size.columns),
                tasks = g.batches * down * across;
  std::atomic<bool> ok = true;
#pragma omp parallel if (g.batches * g.m * g.n * g.k > kParallel)
  {
    stay_sequential();
#pragma omp for schedule(dynamic, 1)
    for (int64_t task = 0; task < tasks; ++task) {
      Block block{};
      block.batch = task / (down * across);
      block.row = task / across % down * size.rows;
      block.rows = std::min(size.rows, g.m - block.row);
      block.column = task % across * size.columns;
      block.columns = std::min(size.columns, g.n - block.column);
      block.inners = g.k;
      if (!contained([&] { return run_block(g, block); })) ok = false;
    }
  }
  return ok ? Status::kOk : Status::kFailed;
}

Status multiply_pieces(const Gemm& g) {
  const int64_t piece = std::max<int64_t>(512, block_count(g.k, 64)), pieces = block_count(g.k, piece),
                area = g.m * g.n;
  float* partial = scratch(Slot::kPartials, (pieces + 1) * area);
  float* total = partial + pieces * area;
  std::atomic<bool> ok = true;
  for (int64_t batch = 0; batch < g.batches; ++batch) {
#pragma omp parallel
    {
      stay_sequential();
#pragma omp for schedule(dynamic, 1)
      for (int64_t p = 0; p < pieces; ++p) {
        const Block block{batch, 0, g.m, 0, g.n, p * piece, std::min(piece, g.k - p * piece)};
        if (!contained([&] { return run_to_tile(g, block, partial + p * area); })) ok = false;
      }
    }
    std::fill_n(total, area, 0.0f);
    add_partials(partial, pieces, area, area, total);
    for (int64_t row = 0; row < g.m; ++row) finish_line(g, total + row * g.n, batch, row, 0, g.n);
  }
  return ok ? Status::kOk : Status::kFailed;
}

}  // namespace longhaul::cpu
