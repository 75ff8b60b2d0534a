#include <cmath>

#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/parallel.h"

namespace longhaul::cpu {
namespace {

using kernels::RotaryOptions;
using kernels::Status;

Status rotate(const View& x, const View& position, const View& y, const RotaryOptions& options) {
  if (x.dtype != y.dtype) return Status::kUnsupported;
  const Leaves& leaf = leaves();
  const auto turn = leaf.rotate[lane_of(x.dtype)];
  const int64_t tokens = x.shape[1], heads = x.shape[2], half = x.shape[3] / 2;
  if (half > 512) return Status::kUnsupported;
  double frequency[512];
  for (int64_t i = 0; i < half; ++i)
    frequency[i] = std::pow(options.base, -static_cast<double>(i) / static_cast<double>(half));
  const bool shared = position.shape.rank() == 1;
  for_blocks(x.shape[0] * tokens, rows_per_block(2 * heads * half), [&](int64_t begin, int64_t end) {
    float cosine[512], sine[512];
    for (int64_t row = begin; row < end; ++row) {
      const int64_t b = row / tokens, n = row % tokens;
      leaf.angles(position.as<int32_t>()[shared ? n : row], frequency, half, cosine, sine);
      if (options.inverse) std::transform(sine, sine + half, sine, [](float s) { return -s; });
      for (int64_t h = 0; h < heads; ++h) {
        turn(at(x, b * x.strides[0] + n * x.strides[1] + h * x.strides[2]),
             at(y, b * y.strides[0] + n * y.strides[1] + h * y.strides[2]), cosine, sine, half);
      }
    }
  });
  return Status::kOk;
}

}  // namespace

void fill_rotary(kernels::RotaryKernels& kernels) { kernels.rotate.set(rotate, kFloating); }

}  // namespace longhaul::cpu
