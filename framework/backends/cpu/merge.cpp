#include <cmath>
#include <limits>

#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/parallel.h"

namespace longhaul::cpu {
namespace {

using kernels::Status;

constexpr float kNothing = -std::numeric_limits<float>::infinity();

/// First element of row n of a strided [B, H, N, d] operand, rows counted over all axes.
void* row_at(const View& view, int64_t n) {
  const int64_t length = view.shape[2], heads = view.shape[1];
  const int64_t element =
      n / (heads * length) * view.strides[0] + n / length % heads * view.strides[1] + n % length * view.strides[2];
  return static_cast<char*>(view.data) + element * static_cast<int64_t>(size_of(view.dtype));
}

bool rows_are_lines(const View& view) { return !view.present || view.strides[3] == 1 || view.shape[3] == 1; }

float value_at(const void* row, DType dtype, int64_t c) {
  return dtype == DType::kF32 ? static_cast<const float*>(row)[c]
                              : static_cast<float>(static_cast<const bfloat16*>(row)[c]);
}

Status add(const View& part, const View& part_lse, const View& out, const View& lse) {
  if (!rows_are_lines(part) || !rows_are_lines(out)) return Status::kUnsupported;
  const auto join = leaves().axpby[lane_of(part.dtype)][lane_of(out.dtype)];
  const int64_t width = out.shape[3];
  for_blocks(lse.elements(), rows_per_block(width), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      float& l = lse.as<float>()[n];
      const float p = part_lse.as<float>()[n], peak = p > l ? p : l;
      if (p == kNothing || peak == kNothing) continue;
      const double own = std::exp(static_cast<double>(l) - peak), other = std::exp(static_cast<double>(p) - peak),
                   total = own + other;
      join(row_at(part, n), row_at(out, n), static_cast<float>(other / total), static_cast<float>(own / total), width);
      l = static_cast<float>(peak + std::log(total));
    }
  });
  return Status::kOk;
}

Status backward(const View& part, const View& part_lse, const View& out, const View& lse, const View& dout,
                const View& dlse, const View& dpart, const View& dpart_lse) {
  if (!rows_are_lines(part) || !rows_are_lines(out) || !rows_are_lines(dout) || !rows_are_lines(dpart))
    return Status::kUnsupported;
  const auto scale = dout.present ? leaves().axpby[lane_of(dout.dtype)][lane_of(dpart.dtype)] : nullptr;
  const int64_t width = part.shape[3];
  for_blocks(part_lse.elements(), rows_per_block(width), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const float l = lse.as<float>()[n], p = part_lse.as<float>()[n];
      const float weight = l == kNothing || p == kNothing ? 0 : std::exp(p - l);
      double score = dlse.present ? dlse.as<float>()[n] : 0;
      if (dout.present) {
        const void *g = row_at(dout, n), *o = row_at(out, n), *x = row_at(part, n);
        for (int64_t c = 0; c < width; ++c)
          score += static_cast<double>(value_at(g, dout.dtype, c)) *
                   (value_at(x, part.dtype, c) - value_at(o, out.dtype, c));
        scale(g, row_at(dpart, n), weight, 0.0f, width);
      } else {
        std::fill_n(static_cast<char*>(row_at(dpart, n)), static_cast<size_t>(width) * size_of(dpart.dtype), char{0});
      }
      dpart_lse.as<float>()[n] = weight == 0 ? 0 : weight * static_cast<float>(score);
    }
  });
  return Status::kOk;
}

}  // namespace

void fill_merge(kernels::MergeKernels& kernels) {
  kernels.add.set(add, kFloating);
  kernels.backward.set(backward, kFloating);
}

}  // namespace longhaul::cpu
