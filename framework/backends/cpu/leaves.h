// defines: Leaves, leaves, lane_of
#pragma once
#include "framework/kernels/elementwise.h"
#include "framework/kernels/optimizer.h"

namespace longhaul::cpu {

/// The inner loops of the cpu kernels: one thread, plain pointers, contiguous memory. Compiled once per instruction
/// set; the drivers around them know views, threads and blocks. Array indices choose the element type: 0 f32, 1 bf16.
struct Leaves {
  void (*unary[2])(kernels::UnaryOp, const void* x, void* y, int64_t n);
  void (*unary_backward[2])(kernels::UnaryOp, const void* x, const void* dy, void* dx, int64_t n);
  void (*binary[2])(kernels::BinaryOp, const void* a, const void* b, void* c, int64_t n);
  /// y = alpha x + beta y; [type of x][type of y]
  void (*axpby[2][2])(const void* x, void* y, float alpha, float beta, int64_t n);
  /// key and counter as in RandomStream: words 2 and 3 of the counter are layer and purpose.
  void (*dropout[2])(const void* x, void* y, int64_t n, uint64_t first, uint32_t threshold, float scale,
                     const uint32_t* key, const uint32_t* place);
  void (*swiglu[2])(const void* x, void* y, int64_t rows, int64_t width);
  void (*swiglu_backward[2])(const void* x, const void* dy, void* dx, int64_t rows, int64_t width);

  /// [x, sum][delta][y]; null: absent
  void (*norm[2][2][2])(const void* x, const void* delta, const float* gamma, const float* beta, void* sum, void* y,
                        float* mean, float* rstd, int64_t rows, int64_t width, float eps, bool rms);
  /// [x, dsum, dx][dy][ddelta]; dgamma and dbeta are added to
  void (*norm_backward[2][2][2])(const void* dy, const void* dsum, const void* x, const float* gamma, const float* mean,
                                 const float* rstd, void* dx, void* ddelta, float* dgamma, float* dbeta, int64_t rows,
                                 int64_t width, bool rms);

  void (*softmax[2])(const void* x, void* y, int64_t rows, int64_t n, bool log);
  void (*softmax_backward[2])(const void* y, const void* dy, void* dx, int64_t rows, int64_t n, bool log);
  /// One row of logits; [logits][dlogits]; returns log-sum-exp and the mean logit by pointer. dlogits may be null.
  void (*cross_entropy[2][2])(const void* x, void* dx, int64_t n, int64_t target, float epsilon, float scale,
                              float* lse, float* mean);

  /// cos and sin of position * frequency[i], i < half
  void (*angles)(int32_t position, const double* frequency, int64_t half, float* cosine, float* sine);
  void (*rotate[2])(const void* x, void* y, const float* cosine, const float* sine, int64_t half);

  void (*add_rows[2])(const void* x, int64_t rows, int64_t columns, float* total);
  float (*row_sum[2])(const void* x, int64_t n);
  double (*sum[2])(const void* x, int64_t n, bool squares);

  void (*adam)(float* w, const float* g, float* m, float* v, int64_t n, const kernels::AdamOptions& options);
  void (*sgd)(float* w, const float* g, float* velocity, int64_t n, const kernels::SgdOptions& options);

  /// y[r][j] = sum_k x[r][k] w[j * stride + k] for r < rows <= 4 and j < columns; x [rows, inner], y [rows, y_stride]
  void (*dot_columns[2])(const float* x, int64_t rows, int64_t inner, const void* w, int64_t stride, int64_t columns,
                         float* y, int64_t y_stride);
  /// y[r][j] = sum_k x[r][k] w[k * stride + j]
  void (*dot_rows[2])(const float* x, int64_t rows, int64_t inner, const void* w, int64_t stride, int64_t columns,
                      float* y, int64_t y_stride);

  /// Sets *operations to the floating-point operations done; see simd/peak.h.
  float (*multiply_adds)(int64_t rounds, int64_t* operations);
};

/// The table of the instruction set in use.
const Leaves& leaves();
const Leaves& leaves_portable();
const Leaves& leaves_avx2();
const Leaves& leaves_avx512();

/// Index of an element type in the arrays above; -1 for one that has no vector loops.
inline int lane_of(DType dtype) { return dtype == DType::kF32 ? 0 : dtype == DType::kBF16 ? 1 : -1; }

}  // namespace longhaul::cpu
