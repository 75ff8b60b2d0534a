// defines: peak
#pragma once
#include "framework/tensor/dtype.h"

namespace longhaul::cpu {

/// Floating-point operations per second of all threads in a loop of multiply-adds that never leaves the registers: what
/// a product of this type could reach at most. bf16 products with f32 sums where the machine has them, else the f32
/// figure. Takes about 30 ms.
double peak(DType dtype);

/// The bf16 loop, see simd/peak.h; needs Isa::kAvx512Bf16.
float multiply_adds_bf16(int64_t rounds, int64_t* operations);

}  // namespace longhaul::cpu
