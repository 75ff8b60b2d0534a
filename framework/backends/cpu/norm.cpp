#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/parallel.h"

namespace longhaul::cpu {
namespace {

using kernels::NormOptions;
using kernels::Status;

Status forward(const View& x, const View& delta, const View& gamma, const View& beta, const View& sum, const View& y,
               const View& mean, const View& rstd, const NormOptions& options) {
  const int stream = lane_of(x.dtype), branch = delta.present ? lane_of(delta.dtype) : 0, result = lane_of(y.dtype);
  if (branch < 0 || result < 0 || gamma.dtype != DType::kF32) return Status::kUnsupported;
  const auto leaf = leaves().norm[stream][branch][result];
  const int64_t width = x.shape[1];
  for_blocks(x.shape[0], rows_per_block(width), [&](int64_t begin, int64_t end) {
    const int64_t first = begin * width;
    leaf(at(x, first), at(delta, first), gamma.as<float>(), beta.as<float>(), at(sum, first), at(y, first),
         static_cast<float*>(at(mean, begin)), static_cast<float*>(at(rstd, begin)), end - begin, width, options.eps,
         options.rms);
  });
  return Status::kOk;
}

Status backward(const View& dy, const View& dsum, const View& x, const View& gamma, const View& mean, const View& rstd,
                const View& dx, const View& ddelta, const View& dgamma, const View& dbeta, const NormOptions& options) {
  const int stream = lane_of(x.dtype), upstream = lane_of(dy.dtype),
            branch = ddelta.present ? lane_of(ddelta.dtype) : 0;
  if (stream < 0 || branch < 0 || gamma.dtype != DType::kF32) return Status::kUnsupported;
  const auto leaf = leaves().norm_backward[stream][upstream][branch];
  const int64_t rows = x.shape[0], width = x.shape[1];
  const int64_t block = sum_block(rows, width);
  const int64_t blocks = block_count(rows, block), stride = 2 * width;
  const bool sums = dgamma.present || dbeta.present;
  float* partial = sums ? scratch(Slot::kPartials, blocks * stride) : nullptr;
  for_blocks(rows, block, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * width;
    float* own = sums ? partial + begin / block * stride : nullptr;
    if (sums) std::fill_n(own, stride, 0.0f);
    leaf(at(dy, first), at(dsum, first), at(x, first), gamma.as<float>(), static_cast<const float*>(at(mean, begin)),
         static_cast<const float*>(at(rstd, begin)), at(dx, first), at(ddelta, first), dgamma.present ? own : nullptr,
         dbeta.present ? own + width : nullptr, end - begin, width, options.rms);
  });
  if (dgamma.present) add_partials(partial, blocks, width, stride, dgamma.as<float>());
  if (dbeta.present) add_partials(partial + width, blocks, width, stride, dbeta.as<float>());
  return Status::kOk;
}

}  // namespace

void fill_norm(kernels::NormKernels& kernels) {
  kernels.forward.set(forward, kFloating);
  kernels.backward.set(backward, kFloating);
}

}  // namespace longhaul::cpu
