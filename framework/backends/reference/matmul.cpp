#include "framework/backends/reference/element.h"
#include "framework/backends/reference/fill.h"

namespace longhaul::reference {
namespace {

using kernels::MatmulOptions;
using kernels::Status;

/// A matrix of a batch, possibly read transposed.
struct Matrix {
  int64_t batch_stride, row_stride, column_stride;
  int64_t at(int64_t batch, int64_t row, int64_t column) const {
    return batch * batch_stride + row * row_stride + column * column_stride;
  }
};

Matrix matrix_of(const View& view, bool transpose) {
  const int rank = view.shape.rank();
  const int64_t batch_stride = rank == 3 ? view.strides[0] : 0;
  const int64_t row = view.strides[rank - 2];
  const int64_t column = view.strides[rank - 1];
  return transpose ? Matrix{batch_stride, column, row} : Matrix{batch_stride, row, column};
}

// a [.., M, K], b [.., K, N] after the transposes, bias [N], c [.., M, N]
template <typename T, typename Bias, typename Out>
void multiply(const View& a, const View& b, const View& bias, const View& c, const MatmulOptions& options) {
  const int64_t batches = c.shape.rank() == 3 ? c.shape[0] : 1;
  const int64_t rows = c.shape[-2], columns = c.shape[-1];
  const int64_t inner = options.transpose_a ? a.shape[-2] : a.shape[-1];
  const Matrix in_a = matrix_of(a, options.transpose_a), in_b = matrix_of(b, options.transpose_b),
               out = matrix_of(c, false);
  for (int64_t batch = 0; batch < batches; ++batch) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        Wide<T> sum = 0;
        for (int64_t k = 0; k < inner; ++k) {
          sum +=
              converted<Wide<T>>(a.as<T>()[in_a.at(batch, i, k)]) * converted<Wide<T>>(b.as<T>()[in_b.at(batch, k, j)]);
        }
        sum *= static_cast<Wide<T>>(options.alpha);
        if (bias.present) sum += converted<Wide<T>>(bias.as<Bias>()[j * bias.strides[0]]);
        Out& y = c.as<Out>()[out.at(batch, i, j)];
        if (options.accumulate) sum += converted<Wide<T>>(y);
        y = converted<Out>(sum);
      }
    }
  }
}

Status gemm(const View& a, const View& b, const View& bias, const View& c, const MatmulOptions& options) {
  return visit(a.dtype, [&](auto element) {
    return visit(bias.present ? bias.dtype : a.dtype, [&](auto bias_element) {
      return visit(c.dtype, [&](auto out_element) {
        multiply<decltype(element), decltype(bias_element), decltype(out_element)>(a, b, bias, c, options);
        return Status::kOk;
      });
    });
  });
}

}  // namespace

void fill_matmul(kernels::MatmulKernels& kernels) { kernels.gemm.set(gemm, kFloating); }

}  // namespace longhaul::reference
