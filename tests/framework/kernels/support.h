// defines: helpers of the kernel tests
#pragma once
#include <functional>
#include <vector>

#include "framework/backends/cpu/isa.h"
#include "framework/kernels/backend.h"
#include "framework/tensor/tensor.h"

namespace longhaul::testing {

inline const kernels::Backend& cpu() { return kernels::backend(Device::cpu()); }
inline const kernels::Backend& reference() { return kernels::backend(Device::reference()); }

/// Uniform numbers of mean 0 and deviation `scale`, the same for the same seed, rounded to dtype.
Tensor random(const Shape& shape, DType dtype, uint64_t seed, double scale = 1);
/// Uniform whole numbers in [low, high).
Tensor random_indices(int64_t count, int32_t low, int32_t high, uint64_t seed);
Tensor zeros(const Shape& shape, DType dtype);
/// The same values in f64 (or another type), contiguous.
Tensor as(const Tensor& x, DType dtype = DType::kF64);
std::vector<double> values(const Tensor& x);
/// |received - expected| <= absolute + relative |expected| for every element; NaN and infinity must be in the same
/// places.
void expect_close(const Tensor& received, const Tensor& expected, double absolute, double relative);
void expect_same_bits(const Tensor& received, const Tensor& expected);

/// Runs f under every instruction set of this machine, then restores the best.
void for_each_isa(const std::function<void()>& f);
/// Runs f, which returns fresh results, with 1, 2, 3 and 8 threads and expects the same bits.
void expect_same_for_threads(const std::function<std::vector<Tensor>()>& f);

/// Half the distance of bf16 numbers beside 1.
inline constexpr double kBf16 = 1.0 / 256;

}  // namespace longhaul::testing
