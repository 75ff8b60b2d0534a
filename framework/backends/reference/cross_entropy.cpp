#include <cmath>
#include <limits>

#include "framework/backends/reference/element.h"
#include "framework/backends/reference/fill.h"

namespace longhaul::reference {
namespace {

using kernels::CrossEntropyOptions;
using kernels::Status;

// logits, dlogits [R, V]; target [R]; nll, smoothed [R]
template <typename T, typename D>
Status forward_rows(const View& logits, const View& target, const View& nll, const View& smoothed, const View& dlogits,
                    const CrossEntropyOptions& options) {
  using R = Wide<T>;
  const int64_t rows = logits.shape[0], classes = logits.shape[1];
  const R epsilon = static_cast<R>(options.label_smoothing), scale = static_cast<R>(options.scale);
  for (int64_t r = 0; r < rows; ++r) {
    const T* x = logits.as<T>() + r * classes;
    const int32_t wanted = target.as<int32_t>()[r];
    if (wanted < -1 || wanted >= classes) return Status::kFailed;
    if (wanted == -1) {
      nll.as<R>()[r] = 0;
      if (smoothed.present) smoothed.as<R>()[r] = 0;
      for (int64_t j = 0; dlogits.present && j < classes; ++j) dlogits.as<D>()[r * classes + j] = converted<D>(R(0));
      continue;
    }
    R peak = -std::numeric_limits<R>::infinity();
    R mean = 0;  // of the logits: mean_v(-log p_v) = lse - mean
    for (int64_t j = 0; j < classes; ++j) {
      const R value = converted<R>(x[j]);
      if (value > peak || std::isnan(value)) peak = value;
      if (std::isnan(peak)) break;
      mean += value / static_cast<R>(classes);
    }
    R total = 0;
    for (int64_t j = 0; j < classes; ++j) total += std::exp(converted<R>(x[j]) - peak);
    const R lse = peak + std::log(total);
    const R loss = lse - converted<R>(x[wanted]);
    nll.as<R>()[r] = loss;
    if (smoothed.present) smoothed.as<R>()[r] = epsilon == 0 ? loss : (R(1) - epsilon) * loss + epsilon * (lse - mean);
    for (int64_t j = 0; dlogits.present && j < classes; ++j) {
      R gradient = std::exp(converted<R>(x[j]) - lse) - epsilon / static_cast<R>(classes);
      if (j == wanted) gradient -= R(1) - epsilon;
      dlogits.as<D>()[r * classes + j] = converted<D>(scale * gradient);
    }
  }
  return Status::kOk;
}

Status forward(const View& logits, const View& target, const View& nll, const View& smoothed, const View& dlogits,
               const CrossEntropyOptions& options) {
  return visit(logits.dtype, [&](auto element) {
    return visit(dlogits.present ? dlogits.dtype : logits.dtype, [&](auto gradient) {
      return forward_rows<decltype(element), decltype(gradient)>(logits, target, nll, smoothed, dlogits, options);
    });
  });
}

}  // namespace

void fill_cross_entropy(kernels::CrossEntropyKernels& kernels) { kernels.forward.set(forward, kFloating); }

}  // namespace longhaul::reference
