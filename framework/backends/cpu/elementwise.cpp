#include "framework/backends/cpu/fill.h"
#include "framework/backends/cpu/leaves.h"
#include "framework/backends/cpu/parallel.h"

namespace longhaul::cpu {
namespace {

using kernels::BinaryOp;
using kernels::DropoutOptions;
using kernels::Status;
using kernels::UnaryOp;

Status unary(const View& x, const View& y, UnaryOp op) {
  if (x.dtype != y.dtype) return Status::kUnsupported;
  const auto leaf = leaves().unary[lane_of(x.dtype)];
  for_blocks(x.elements(), kBlock,
             [&](int64_t begin, int64_t end) { leaf(op, at(x, begin), at(y, begin), end - begin); });
  return Status::kOk;
}

Status unary_backward(const View& x, const View& dy, const View& dx, UnaryOp op) {
  if (x.dtype != dy.dtype || x.dtype != dx.dtype) return Status::kUnsupported;
  const auto leaf = leaves().unary_backward[lane_of(x.dtype)];
  for_blocks(x.elements(), kBlock,
             [&](int64_t begin, int64_t end) { leaf(op, at(x, begin), at(dy, begin), at(dx, begin), end - begin); });
  return Status::kOk;
}

/// b repeated until a line is long enough for the vector loops.
std::vector<char> repeated(const View& b, int64_t times) {
  const size_t bytes = static_cast<size_t>(b.elements()) * size_of(b.dtype);
  std::vector<char> line(bytes * static_cast<size_t>(times));
  for (int64_t i = 0; i < times; ++i)
    std::copy_n(static_cast<const char*>(b.data), bytes, line.data() + static_cast<size_t>(i) * bytes);
  return line;
}

Status binary(const View& a, const View& b, const View& c, BinaryOp op) {
  if (a.dtype != b.dtype || a.dtype != c.dtype) return Status::kUnsupported;
  const auto leaf = leaves().binary[lane_of(a.dtype)];
  const int64_t count = a.elements();
  if (count == 0) return Status::kOk;
  if (b.elements() == count) {
    for_blocks(count, kBlock,
               [&](int64_t begin, int64_t end) { leaf(op, at(a, begin), at(b, begin), at(c, begin), end - begin); });
    return Status::kOk;
  }
  constexpr int64_t kShortLine = 512;
  const int64_t times = b.elements() < kShortLine ? block_count(kShortLine, b.elements()) : 1;
  const std::vector<char> line = times > 1 ? repeated(b, times) : std::vector<char>();
  const void* right = times > 1 ? line.data() : b.data;
  const int64_t period = b.elements() * times;
  for_blocks(block_count(count, period), rows_per_block(period), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      leaf(op, at(a, r * period), right, at(c, r * period), std::min(period, count - r * period));
    }
  });
  return Status::kOk;
}

Status dropout(const View& x, const View& y, const DropoutOptions& options) {
  if (x.dtype != y.dtype) return Status::kUnsupported;
  const auto leaf = leaves().dropout[lane_of(x.dtype)];
  const uint32_t threshold = dropout_threshold(options.probability);
  const float scale = static_cast<float>(1.0 / (1.0 - options.probability));
  const auto key = options.stream.key();
  const uint32_t place[2] = {options.stream.layer, static_cast<uint32_t>(options.stream.purpose)};
  for_blocks(x.elements(), kBlock, [&](int64_t begin, int64_t end) {
    leaf(at(x, begin), at(y, begin), end - begin, options.first_element + static_cast<uint64_t>(begin), threshold,
         scale, key.data(), place);
  });
  return Status::kOk;
}

Status swiglu(const View& x, const View& y) {
  if (x.dtype != y.dtype) return Status::kUnsupported;
  const auto leaf = leaves().swiglu[lane_of(x.dtype)];
  const int64_t width = y.shape[1];
  for_blocks(y.shape[0], rows_per_block(width), [&](int64_t begin, int64_t end) {
    leaf(at(x, begin * 2 * width), at(y, begin * width), end - begin, width);
  });
  return Status::kOk;
}

Status swiglu_backward(const View& x, const View& dy, const View& dx) {
  if (x.dtype != dy.dtype || x.dtype != dx.dtype) return Status::kUnsupported;
  const auto leaf = leaves().swiglu_backward[lane_of(x.dtype)];
  const int64_t width = dy.shape[1];
  for_blocks(dy.shape[0], rows_per_block(width), [&](int64_t begin, int64_t end) {
    leaf(at(x, begin * 2 * width), at(dy, begin * width), at(dx, begin * 2 * width), end - begin, width);
  });
  return Status::kOk;
}

}  // namespace

void fill_elementwise(kernels::ElementwiseKernels& kernels) {
  kernels.unary.set(unary, kFloating);
  kernels.unary_backward.set(unary_backward, kFloating);
  kernels.binary.set(binary, kFloating);
  kernels.dropout.set(dropout, kFloating);
  kernels.swiglu.set(swiglu, kFloating);
  kernels.swiglu_backward.set(swiglu_backward, kFloating);
  fill_copies(kernels);
}

}  // namespace longhaul::cpu
