#include <cmath>
#include <limits>

#include "framework/backends/reference/attention_scene.h"
#include "framework/backends/reference/fill.h"

namespace longhaul::reference {
namespace {

using kernels::Status;

template <typename R>
constexpr R kNothing = -std::numeric_limits<R>::infinity();

/// f(batch entry, head, row, index of the row in lse)
template <typename F>
void each_row(const View& of, F f) {
  int64_t at = 0;
  for (int64_t b = 0; b < of.shape[0]; ++b) {
    for (int64_t h = 0; h < of.shape[1]; ++h) {
      for (int64_t i = 0; i < of.shape[2]; ++i) f(b, h, i, at++);
    }
  }
}

/// One row of a strided operand in the type statistics have.
template <typename R>
std::vector<R> row_of(const View& view, int64_t b, int64_t h, int64_t i) {
  std::vector<R> out(static_cast<size_t>(view.shape[3]));
  visit(view.dtype, [&](auto element) {
    const auto* from = Rows<decltype(element)>(view).at(b, h, i);
    for (size_t c = 0; c < out.size(); ++c) out[c] = converted<R>(from[c]);
    return Status::kOk;
  });
  return out;
}

template <typename R>
void write_row(const View& view, int64_t b, int64_t h, int64_t i, const std::vector<R>& from) {
  visit(view.dtype, [&](auto element) {
    using T = decltype(element);
    T* to = Rows<T>(view).at(b, h, i);
    for (size_t c = 0; c < from.size(); ++c) to[c] = converted<T>(from[c]);
    return Status::kOk;
  });
}

template <typename R>
Status add(const View& part, const View& part_lse, const View& out, const View& lse) {
  each_row(out, [&](int64_t b, int64_t h, int64_t i, int64_t at) {
    R &l = lse.as<R>()[at], p = part_lse.as<R>()[at];
    const R peak = std::max(l, p);
    if (peak == kNothing<R>) return;
    const R own = std::exp(l - peak), other = std::exp(p - peak), total = own + other;
    std::vector<R> sum = row_of<R>(out, b, h, i);
    const std::vector<R> more = row_of<R>(part, b, h, i);
    for (size_t c = 0; c < sum.size(); ++c) sum[c] = (own * sum[c] + other * more[c]) / total;
    write_row(out, b, h, i, sum);
    l = peak + std::log(total);
  });
  return Status::kOk;
}

template <typename R>
Status backward(const View& part, const View& part_lse, const View& out, const View& lse, const View& dout,
                const View& dlse, const View& dpart, const View& dpart_lse) {
  each_row(part, [&](int64_t b, int64_t h, int64_t i, int64_t at) {
    const R l = lse.as<R>()[at], p = part_lse.as<R>()[at];
    const R weight = l == kNothing<R> || p == kNothing<R> ? R(0) : std::exp(p - l);
    std::vector<R> d(static_cast<size_t>(part.shape[3]), R(0));
    R score = dlse.present ? dlse.as<R>()[at] : R(0);
    if (dout.present) {
      const std::vector<R> g = row_of<R>(dout, b, h, i), o = row_of<R>(out, b, h, i), x = row_of<R>(part, b, h, i);
      for (size_t c = 0; c < d.size(); ++c) {
        d[c] = weight * g[c];
        score += g[c] * (x[c] - o[c]);
      }
    }
    write_row(dpart, b, h, i, d);
    dpart_lse.as<R>()[at] = weight == 0 ? R(0) : weight * score;
  });
  return Status::kOk;
}

}  // namespace

void fill_merge(kernels::MergeKernels& kernels) {
  kernels.add.set(
      [](const View& part, const View& part_lse, const View& out, const View& lse) {
        return lse.dtype == DType::kF64 ? add<double>(part, part_lse, out, lse) : add<float>(part, part_lse, out, lse);
      },
      kFloating);
  kernels.backward.set(
      [](const View& part, const View& part_lse, const View& out, const View& lse, const View& dout, const View& dlse,
         const View& dpart, const View& dpart_lse) {
        return lse.dtype == DType::kF64 ? backward<double>(part, part_lse, out, lse, dout, dlse, dpart, dpart_lse)
                                        : backward<float>(part, part_lse, out, lse, dout, dlse, dpart, dpart_lse);
      },
      kFloating);
}

}  // namespace longhaul::reference
