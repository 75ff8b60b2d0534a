#include "framework/backends/cpu/matmul.h"

#include "framework/backends/cpu/convert.h"
#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/parallel.h"

namespace longhaul::cpu {

using kernels::MatmulOptions;
using kernels::Status;

void finish_line(const Gemm& gemm, float* sums, int64_t batch, int64_t row, int64_t column, int64_t columns) {
  const Leaves& leaf = leaves();
  const int out = lane_of(gemm.out);
  const float alpha = gemm.options.alpha;
  if (gemm.bias)
    leaf.axpby[gemm.bias_type == DType::kBF16 ? 1 : 0][0](gemm.bias_at(column), sums, 1.0f, alpha, columns);
  leaf.axpby[0][out](sums, gemm.c_at(batch, row, column), gemm.bias ? 1.0f : alpha,
                     gemm.options.accumulate ? 1.0f : 0.0f, columns);
}

Status multiply_few_rows(const Gemm& g) {
  const Leaves& leaf = leaves();
  const int type = lane_of(g.in);
  // x is read again for every column: f32 and adjacent.
  float* x = scratch(Slot::kLeft, g.batches * g.m * g.k);
  for (int64_t row = 0; row < g.batches * g.m; ++row) {
    convert_line(g.in, g.a_at(row / g.m, row % g.m, 0), g.options.transpose_a ? g.lead_a : 1, DType::kF32,
                 x + row * g.k, 1, g.k);
  }
  // 64 lines of weights, or 64 columns of all lines: small enough for many threads, long enough to stream.
  const int64_t columns =
      g.options.transpose_b ? std::clamp<int64_t>(block_count(1 << 16, std::max<int64_t>(1, g.k)), 4, 1024) : 256;
  const int64_t cuts = block_count(g.n, columns);
#pragma omp parallel for schedule(static) if (g.batches * g.n * g.k > 1 << 16)
  for (int64_t task = 0; task < g.batches * cuts; ++task) {
    const int64_t batch = task / cuts, first = task % cuts * columns, count = std::min(columns, g.n - first);
    alignas(64) float y[4 * 1024];
    const auto dots = g.options.transpose_b ? leaf.dot_columns[type] : leaf.dot_rows[type];
    dots(x + batch * g.m * g.k, g.m, g.k, g.b_at(batch, 0, first), g.lead_b, count, y, 1024);
    for (int64_t row = 0; row < g.m; ++row) finish_line(g, y + row * 1024, batch, row, first, count);
  }
  return Status::kOk;
}

namespace {

/// c (+)= bias: what is left of a product over nothing.
Status multiply_nothing(const Gemm& g) {
  std::vector<float> zeros(static_cast<size_t>(g.n));
  for (int64_t row = 0; row < g.batches * g.m; ++row) {
    std::fill(zeros.begin(), zeros.end(), 0.0f);
    finish_line(g, zeros.data(), row / g.m, row % g.m, 0, g.n);
  }
  return Status::kOk;
}

Status gemm(const View& a, const View& b, const View& bias, const View& c, const MatmulOptions& options) {
  const int rank = c.shape.rank();
  if (a.dtype != b.dtype || (c.dtype != a.dtype && c.dtype != DType::kF32)) return Status::kUnsupported;
  if (bias.present && bias.dtype != DType::kF32 && bias.dtype != a.dtype) return Status::kUnsupported;
  Gemm g{};
  g.a = a.as<const char>();
  g.b = b.as<const char>();
  g.bias = bias.present ? bias.data : nullptr;
  g.c = c.as<char>();
  g.batches = rank == 3 ? c.shape[0] : 1;
  g.m = c.shape[-2];
  g.n = c.shape[-1];
  g.k = options.transpose_a ? a.shape[-2] : a.shape[-1];
  // A matrix of one row may carry any stride; the library wants a plausible one.
  g.lead_a = std::max(a.strides[rank - 2], a.shape[-1]);
  g.lead_b = std::max(b.strides[rank - 2], b.shape[-1]);
  g.lead_c = std::max(c.strides[rank - 2], c.shape[-1]);
  if (rank == 3) g.batch_a = a.strides[0], g.batch_b = b.strides[0], g.batch_c = c.strides[0];
  g.in = a.dtype;
  g.out = c.dtype;
  g.bias_type = bias.present ? bias.dtype : DType::kF32;
  g.options = options;
  if (g.batches * g.m * g.n == 0) return Status::kOk;
  if (g.k == 0) return multiply_nothing(g);
  if (g.m <= 4 && g.n >= 16) return multiply_few_rows(g);
  if (g.batches * block_count(g.m, 64) * block_count(g.n, 64) < 4 && g.k >= 4096) return multiply_pieces(g);
  return multiply_blocks(g);
}

}  // namespace

void fill_matmul(kernels::MatmulKernels& kernels) { kernels.gemm.set(gemm, kFloating); }

}  // namespace longhaul::cpu
