// defines: ReduceKernels
#pragma once
#include "framework/kernels/kernel.h"

namespace longhaul::kernels {

/// Sums in fixed trees over fixed blocks: the same bits for any number of threads. NaN and infinity reach the result.
struct ReduceKernels {
  /// y [C] f32 (f64) (+)= sum over rows of x [R, C].
  Kernel<const View& /*x*/, const View& /*y*/, bool /*accumulate*/> column_sum{"reduce.column_sum"};
  /// y [R] f32 (f64) = sum over columns of x [R, C].
  Kernel<const View& /*x*/, const View& /*y*/> row_sum{"reduce.row_sum"};
  /// y [1] f64 = sum of the squares of x; contiguous.
  Kernel<const View& /*x*/, const View& /*y*/> sum_of_squares{"reduce.sum_of_squares"};
  /// y [1] f64 = sum of x; contiguous.
  Kernel<const View& /*x*/, const View& /*y*/> sum{"reduce.sum"};

  /// y [R] i32 = column of the largest of each row of x [R, C], contiguous; the first one where several are.
  Kernel<const View& /*x*/, const View& /*y*/> arg_max{"reduce.arg_max"};

  template <typename F>
  void each(F f) { f(column_sum), f(row_sum), f(sum_of_squares), f(sum), f(arg_max); }
};

}  // namespace longhaul::kernels
