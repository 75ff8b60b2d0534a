#include "framework/checkpoint/elements.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "framework/base/error.h"

namespace longhaul::checkpoint {
namespace {

// Calls visit(element offset in the view, position in the run, length) for contiguous stretches along the last axis.
template <typename Visit>
void walk(const View& view, int64_t first, int64_t count, Visit&& visit) {
  if (view.contiguous()) return visit(first, int64_t{0}, count, int64_t{1});
  const int last = view.shape.rank() - 1;
  const int64_t row = view.shape[last];
  for (int64_t done = 0; done < count;) {
    const int64_t position = first + done;
    const int64_t column = position % row;
    int64_t rest = position / row;
    int64_t offset = column * view.strides[last];
    for (int axis = last - 1; axis >= 0; --axis) {
      offset += rest % view.shape[axis] * view.strides[axis];
      rest /= view.shape[axis];
    }
    const int64_t length = std::min(row - column, count - done);
    visit(offset, done, length, view.strides[last]);
    done += length;
  }
}

double load(DType dtype, const std::byte* from) {
  const auto as = [&]<typename T>(T value) {
    std::memcpy(&value, from, sizeof value);
    return value;
  };
  switch (dtype) {
    case DType::kF32:
      return as(float{});
    case DType::kBF16:
      return static_cast<float>(as(bfloat16{}));
    case DType::kF16:
      return static_cast<float>(as(float16{}));
    case DType::kF64:
      return as(double{});
    default:
      break;
  }
  throw InternalError("conversion from a dtype that is not floating-point");
}

void store(DType dtype, double value, std::byte* to) {
  const auto put = [&](auto converted) { std::memcpy(to, &converted, sizeof converted); };
  switch (dtype) {
    case DType::kF32:
      return put(static_cast<float>(value));
    case DType::kBF16:
      return put(bfloat16(static_cast<float>(value)));
    case DType::kF16:
      return put(float16(static_cast<float>(value)));
    case DType::kF64:
      return put(value);
    default:
      break;
  }
  throw InternalError("conversion to a dtype that is not floating-point");
}

}  // namespace

void visit_bytes(const View& view, const std::function<void(std::span<const std::byte>)>& visit) {
  constexpr int64_t kPieceBytes = int64_t{1} << 20;
  const auto size = static_cast<int64_t>(size_of(view.dtype));
  const int64_t all = view.elements();
  const int64_t most = kPieceBytes / size;
  std::vector<std::byte> copy(view.contiguous() ? 0 : static_cast<size_t>(std::min(most, all) * size));
  for (int64_t done = 0; done < all; done += most) {
    const int64_t count = std::min(most, all - done);
    const auto* piece = static_cast<const std::byte*>(view.data) + done * size;
    if (!view.contiguous()) {
      gather_elements(view, done, count, copy.data());
      piece = copy.data();
    }
    visit({piece, static_cast<size_t>(count * size)});
  }
}

void gather_elements(const View& view, int64_t first, int64_t count, std::byte* out) {
  const auto size = static_cast<int64_t>(size_of(view.dtype));
  const auto* data = static_cast<const std::byte*>(view.data);
  walk(view, first, count, [&](int64_t offset, int64_t done, int64_t length, int64_t stride) {
    if (stride == 1) {
      std::memcpy(out + done * size, data + offset * size, static_cast<size_t>(length * size));
      return;
    }
    for (int64_t i = 0; i < length; ++i) {
      std::memcpy(out + (done + i) * size, data + (offset + i * stride) * size, static_cast<size_t>(size));
    }
  });
}

void scatter_elements(const View& view, int64_t first, int64_t count, const std::byte* in) {
  const auto size = static_cast<int64_t>(size_of(view.dtype));
  auto* data = static_cast<std::byte*>(view.data);
  walk(view, first, count, [&](int64_t offset, int64_t done, int64_t length, int64_t stride) {
    if (stride == 1) {
      std::memcpy(data + offset * size, in + done * size, static_cast<size_t>(length * size));
      return;
    }
    for (int64_t i = 0; i < length; ++i) {
      std::memcpy(data + (offset + i * stride) * size, in + (done + i) * size, static_cast<size_t>(size));
    }
  });
}

void convert_elements(DType from, const std::byte* in, DType to, std::byte* out, int64_t count) {
  if (from == to) {
    std::memcpy(out, in, static_cast<size_t>(count) * size_of(from));
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    store(to, load(from, in + static_cast<size_t>(i) * size_of(from)), out + static_cast<size_t>(i) * size_of(to));
  }
}

}  // namespace longhaul::checkpoint
