// defines: MatmulOptions, MatmulKernels
#pragma once
#include "framework/kernels/kernel.h"

namespace longhaul::kernels {

struct MatmulOptions {
  bool transpose_a = false;
  bool transpose_b = false;
  bool accumulate = false;  // c += instead of c =
  float alpha = 1.0f;
};

/// 2 M N K for each product.
inline double work_of(const View& a, const View&, const View&, const View& c, const MatmulOptions& options) {
  return 2.0 * static_cast<double>(c.elements()) * static_cast<double>(a.shape[options.transpose_a ? -2 : -1]);
}

/// Products of row-major matrices. Each output element is summed over the whole inner size in an order that depends on the
/// shapes only, so results do not change with the number of threads.
struct MatmulKernels {
  /// c [.., M, N] (+)= alpha op(a) op(b) + bias; op(a) [.., M, K], op(b) [.., K, N], bias [N] or absent.
  /// Rank 2, or rank 3 with equal leading sizes. Rows may be strided, elements of a row are adjacent.
  /// a and b share a dtype; c is that dtype or f32 (f64 for f64); sums are f32 (f64 for f64); bias is f32 or a's dtype.
  Kernel<const View& /*a*/, const View& /*b*/, const View& /*bias*/, const View& /*c*/, const MatmulOptions&> gemm{"matmul.gemm"};

  template <typename F>
  void each(F f) { f(gemm); }
};

}  // namespace longhaul::kernels
