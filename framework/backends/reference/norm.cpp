#include <cmath>

#include "framework/backends/reference/element.h"
#include "framework/backends/reference/fill.h"

namespace longhaul::reference {
namespace {

using kernels::NormOptions;
using kernels::Status;

// X: residual stream (x, sum, dx, dsum). Y: the branch (delta, y, dy, ddelta). W: statistics, gamma and beta.
template <typename X, typename Y, typename W = Wide<X>>
void forward_rows(const View& x, const View& delta, const View& gamma, const View& beta, const View& sum, const View& y,
                  const View& mean, const View& rstd, const NormOptions& options) {
  const int64_t rows = x.shape[0], width = x.shape[1];
  for (int64_t r = 0; r < rows; ++r) {
    const auto at = [&](int64_t j) {  // the value that is normalised
      const W value = converted<W>(x.as<X>()[r * width + j]);
      return delta.present ? converted<W>(converted<X>(value + converted<W>(delta.as<Y>()[r * width + j]))) : value;
    };
    W center = 0;
    if (!options.rms) {
      for (int64_t j = 0; j < width; ++j) center += at(j);
      center /= static_cast<W>(width);
    }
    W square = 0;
    for (int64_t j = 0; j < width; ++j) square += (at(j) - center) * (at(j) - center);
    const W scale = W(1) / std::sqrt(square / static_cast<W>(width) + static_cast<W>(options.eps));
    for (int64_t j = 0; j < width; ++j) {
      const W value = at(j);
      if (sum.present) sum.as<X>()[r * width + j] = converted<X>(value);
      W out = (value - center) * scale * gamma.as<W>()[j];
      if (beta.present) out += beta.as<W>()[j];
      y.as<Y>()[r * width + j] = converted<Y>(out);
    }
    if (mean.present) mean.as<W>()[r] = center;
    rstd.as<W>()[r] = scale;
  }
}

// With n = (x - mean) rstd and g = dy gamma: dx = rstd (g - mean(g) - n mean(g n)) + dsum; without the mean of g for
// rms.
template <typename X, typename Y, typename W = Wide<X>>
void backward_rows(const View& dy, const View& dsum, const View& x, const View& gamma, const View& mean,
                   const View& rstd, const View& dx, const View& ddelta, const View& dgamma, const View& dbeta,
                   const NormOptions& options) {
  const int64_t rows = x.shape[0], width = x.shape[1];
  for (int64_t r = 0; r < rows; ++r) {
    const W center = options.rms ? W(0) : mean.as<W>()[r], scale = rstd.as<W>()[r];
    const auto normalised = [&](int64_t j) { return (converted<W>(x.as<X>()[r * width + j]) - center) * scale; };
    const auto upstream = [&](int64_t j) { return converted<W>(dy.as<Y>()[r * width + j]); };
    W mean_g = 0, mean_gn = 0;
    for (int64_t j = 0; j < width; ++j) {
      const W g = upstream(j) * gamma.as<W>()[j];
      mean_g += g;
      mean_gn += g * normalised(j);
    }
    mean_g = options.rms ? W(0) : mean_g / static_cast<W>(width);
    mean_gn /= static_cast<W>(width);
    for (int64_t j = 0; j < width; ++j) {
      const W n = normalised(j);
      W out = scale * (upstream(j) * gamma.as<W>()[j] - mean_g - n * mean_gn);
      if (dsum.present) out += converted<W>(dsum.as<X>()[r * width + j]);
      if (dgamma.present) dgamma.as<W>()[j] += upstream(j) * n;
      if (dbeta.present) dbeta.as<W>()[j] += upstream(j);
      dx.as<X>()[r * width + j] = converted<X>(out);
      if (ddelta.present) ddelta.as<Y>()[r * width + j] = converted<Y>(out);
    }
  }
}

/// Calls f with the types of the stream and of the branch. f64 does not mix with the others.
template <typename F>
Status visit_pair(DType stream, DType branch, F f) {
  if ((stream == DType::kF64) != (branch == DType::kF64)) return Status::kUnsupported;
  return visit(stream, [&](auto x) { return visit(branch, [&](auto y) { return f(x, y); }); });
}

Status forward(const View& x, const View& delta, const View& gamma, const View& beta, const View& sum, const View& y,
               const View& mean, const View& rstd, const NormOptions& options) {
  if (delta.present && delta.dtype != y.dtype) return Status::kUnsupported;
  return visit_pair(x.dtype, y.dtype, [&](auto stream, auto branch) {
    forward_rows<decltype(stream), decltype(branch)>(x, delta, gamma, beta, sum, y, mean, rstd, options);
    return Status::kOk;
  });
}

Status backward(const View& dy, const View& dsum, const View& x, const View& gamma, const View& mean, const View& rstd,
                const View& dx, const View& ddelta, const View& dgamma, const View& dbeta, const NormOptions& options) {
  if (ddelta.present && ddelta.dtype != dy.dtype) return Status::kUnsupported;
  return visit_pair(x.dtype, dy.dtype, [&](auto stream, auto branch) {
    backward_rows<decltype(stream), decltype(branch)>(dy, dsum, x, gamma, mean, rstd, dx, ddelta, dgamma, dbeta,
                                                      options);
    return Status::kOk;
  });
}

}  // namespace

void fill_norm(kernels::NormKernels& kernels) {
  kernels.forward.set(forward, kFloating);
  kernels.backward.set(backward, kFloating);
}

}  // namespace longhaul::reference
