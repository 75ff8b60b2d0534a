// defines: Product, ProductShape, ready_product, run_product
#pragma once
#include <cstdint>

#include "framework/tensor/dtype.h"

/// The only door to oneDNN; versions 2 and 3 look the same from this side.
namespace longhaul::cpu {

/// c [m, n] (+)= alpha op(a) op(b) + bias. Rows are `lead_*` elements apart; elements of a row are adjacent.
struct ProductShape {
  int64_t m = 0, n = 0, k = 0;
  int64_t lead_a = 0, lead_b = 0, lead_c = 0;
  float alpha = 1;
  DType in = DType::kF32, out = DType::kF32, bias = DType::kF32;
  bool transpose_a = false, transpose_b = false, has_bias = false, accumulate = false;
  bool operator==(const ProductShape&) const = default;
};

/// A product that is ready to run on one thread. Lives as long as the process.
struct Product;

/// The product of a shape, from a cache. Null when the library has only a slow loop for it on this machine.
const Product* ready_product(const ProductShape& shape);

/// Runs on the calling thread alone. The same Product may run on several threads at once.
/// Call `stay_sequential` first in every thread of a parallel region. False when the library reports a failure.
bool run_product(const Product& product, const void* a, const void* b, const void* bias, void* c);

/// Keeps the library from starting threads below this one, until the parallel region ends.
void stay_sequential();

}  // namespace longhaul::cpu
