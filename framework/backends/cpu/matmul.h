// defines: Gemm, and the three ways a product is computed
#pragma once
#include "framework/kernels/matmul.h"

namespace longhaul::cpu {

/// A product with everything resolved: op(a) [m, k], op(b) [k, n], c [m, n] for each of `batches` matrices.
struct Gemm {
  const char *a, *b;
  const void* bias;  // [n] or null
  char* c;
  int64_t batches, m, n, k;
  int64_t lead_a, lead_b, lead_c;     // elements between the starts of stored rows
  int64_t batch_a, batch_b, batch_c;  // elements between matrices
  DType in, out, bias_type;
  kernels::MatmulOptions options;

  const char* a_at(int64_t batch, int64_t row, int64_t inner) const {
    const int64_t index = options.transpose_a ? inner * lead_a + row : row * lead_a + inner;
    return a + (batch * batch_a + index) * static_cast<int64_t>(size_of(in));
  }
  const char* b_at(int64_t batch, int64_t inner, int64_t column) const {
    const int64_t index = options.transpose_b ? column * lead_b + inner : inner * lead_b + column;
    return b + (batch * batch_b + index) * static_cast<int64_t>(size_of(in));
  }
  char* c_at(int64_t batch, int64_t row, int64_t column) const {
    return c + (batch * batch_c + row * lead_c + column) * static_cast<int64_t>(size_of(out));
  }
  const void* bias_at(int64_t column) const {
    return bias ? static_cast<const char*>(bias) + column * static_cast<int64_t>(size_of(bias_type)) : nullptr;
  }
};

/// Few rows: the weights are streamed once.
kernels::Status multiply_few_rows(const Gemm& gemm);
/// Blocks of the output, each over the whole inner size.
kernels::Status multiply_blocks(const Gemm& gemm);
/// Few, long dot products: the inner size is cut in fixed pieces whose results are added in order.
kernels::Status multiply_pieces(const Gemm& gemm);

/// Writes one line of c: c (+)= alpha sums + bias.
void finish_line(const Gemm& gemm, float* sums, int64_t batch, int64_t row, int64_t column, int64_t columns);

}  // namespace longhaul::cpu
