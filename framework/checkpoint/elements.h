// defines: visit_bytes, gather_elements, scatter_elements, convert_elements
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "framework/tensor/view.h"

namespace longhaul::checkpoint {

/// Hands the bytes of a host view to `visit`, row-major, in pieces of at most 1 MiB that are in memory only meanwhile.
void visit_bytes(const View& view, const std::function<void(std::span<const std::byte>)>& visit);
/// Copies `count` elements of a host view, starting at row-major position `first`, into `out`.
void gather_elements(const View& view, int64_t first, int64_t count, std::byte* out);
/// The reverse: stores `count` elements from `in` at row-major position `first` of the view.
void scatter_elements(const View& view, int64_t first, int64_t count, const std::byte* in);
/// Converts `count` elements between floating-point dtypes; narrowing rounds to nearest even, f64 by way
/// of f32. Equal dtypes are copied.
void convert_elements(DType from, const std::byte* in, DType to, std::byte* out, int64_t count);

}  // namespace longhaul::checkpoint
