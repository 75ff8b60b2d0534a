// defines: number, same_bits, relative_distance
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>

#include "framework/tensor/tensor.h"

namespace longhaul::testing {

/// Element i of a dense f32 or f64 tensor.
inline double number(const Tensor& t, int64_t i) {
  return t.dtype() == DType::kF64 ? t.data<double>()[i] : static_cast<double>(t.data<float>()[i]);
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.bytes() == b.bytes() && std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.bytes())) == 0;
}

/// ||found - expected|| / ||expected|| over all elements.
inline double relative_distance(const Tensor& found, const Tensor& expected) {
  double error = 0, norm = 0;
  for (int64_t i = 0; i < expected.elements(); ++i) {
    const double wanted = number(expected, i), difference = number(found, i) - wanted;
    error += difference * difference;
    norm += wanted * wanted;
  }
  return std::sqrt(error) / std::max(std::sqrt(norm), 1e-12);
}

}  // namespace longhaul::testing
