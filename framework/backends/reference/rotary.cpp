#include <cmath>

#include "framework/backends/reference/element.h"
#include "framework/backends/reference/fill.h"

namespace longhaul::reference {
namespace {

using kernels::RotaryOptions;
using kernels::Status;

Status rotate(const View& x, const View& position, const View& y, const RotaryOptions& options) {
  return visit(x.dtype, [&](auto element) {
    using T = decltype(element);
    using R = Wide<T>;
    const int64_t batches = x.shape[0], tokens = x.shape[1], heads = x.shape[2], half = x.shape[3] / 2;
    for (int64_t b = 0; b < batches; ++b) {
      for (int64_t n = 0; n < tokens; ++n) {
        const int32_t at = position.as<int32_t>()[position.shape.rank() == 2 ? b * tokens + n : n];
        for (int64_t i = 0; i < half; ++i) {
          const double angle =
              at * std::pow(options.base, -2.0 * static_cast<double>(i) / static_cast<double>(2 * half));
          const R cosine = static_cast<R>(std::cos(angle)),
                  sine = static_cast<R>(options.inverse ? -std::sin(angle) : std::sin(angle));
          for (int64_t h = 0; h < heads; ++h) {
            const T* in = x.as<T>() + b * x.strides[0] + n * x.strides[1] + h * x.strides[2];
            T* out = y.as<T>() + b * y.strides[0] + n * y.strides[1] + h * y.strides[2];
            const R first = converted<R>(in[i]), second = converted<R>(in[i + half]);
            out[i] = converted<T>(first * cosine - second * sine);
            out[i + half] = converted<T>(second * cosine + first * sine);
          }
        }
      }
    }
    return Status::kOk;
  });
}

}  // namespace

void fill_rotary(kernels::RotaryKernels& kernels) { kernels.rotate.set(rotate, kFloating); }

}  // namespace longhaul::reference
