// defines: leaf that does nothing but multiply-adds
#pragma once
#include "framework/backends/cpu/simd/functions.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

inline constexpr int kChains = 12;  // enough to hide the latency of a multiply-add, few enough for 16 registers

/// rounds x kChains vector multiply-adds on registers; the result only keeps the compiler from removing them.
LONGHAUL_LEAF float multiply_adds(int64_t rounds, int64_t* operations) {
  Floats chain[kChains];
  for (int i = 0; i < kChains; ++i) chain[i] = broadcast(static_cast<float>(i));
  const Floats factor = broadcast(0.999f), term = broadcast(1e-3f);
  for (int64_t round = 0; round < rounds; ++round) {
    for (int i = 0; i < kChains; ++i) chain[i] = fma(chain[i], factor, term);
  }
  Floats total = {};
  for (int i = 0; i < kChains; ++i) total += chain[i];
  *operations = rounds * kChains * kLanes * 2;
  return sum(total);
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
