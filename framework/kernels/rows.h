// defines: RowKernels
#pragma once
#include "framework/kernels/kernel.h"

namespace longhaul::kernels {

/// Rows of a table chosen by index: embeddings, gathers and their gradients. Contiguous; an index outside [-1, V) fails the call.
struct RowKernels {
  /// y [M, D] = table[index]; table [V, D], index [M] i32; an index of -1 gives a row of zeros. y's dtype may differ from table's.
  Kernel<const View& /*table*/, const View& /*index*/, const View& /*y*/> gather{"rows.gather"};
  /// dtable [V, D] f32 (f64) += rows of dy [M, D], in the order of m within a row of the table; index -1 adds nothing.
  /// order [M] i32 and starts [V + 1] i32 are workspace.
  Kernel<const View& /*dy*/, const View& /*index*/, const View& /*dtable*/, const View& /*order*/, const View& /*starts*/> scatter_add{"rows.scatter_add"};
  /// table[index[m]] = x[m] for every m with index >= 0; the indices are distinct.
  Kernel<const View& /*x*/, const View& /*index*/, const View& /*table*/> replace{"rows.replace"};

  template <typename F>
  void each(F f) { f(gather), f(scatter_add), f(replace); }
};

}  // namespace longhaul::kernels
