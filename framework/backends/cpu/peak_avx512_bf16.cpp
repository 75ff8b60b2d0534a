#include <immintrin.h>

#include "framework/backends/cpu/peak.h"
#include "framework/backends/cpu/simd/functions.h"

namespace longhaul::cpu {

float multiply_adds_bf16(int64_t rounds, int64_t* operations) {
  using namespace LONGHAUL_SIMD;
  constexpr int kChains = 12;
  Floats chain[kChains];
  for (int i = 0; i < kChains; ++i) chain[i] = broadcast(static_cast<float>(i));
  const __m512bh factor = reinterpret_cast<__m512bh>(broadcast_word(0x3c003c00u)),
                 term = reinterpret_cast<__m512bh>(broadcast_word(0x3c003b80u));
  for (int64_t round = 0; round < rounds; ++round) {
    for (int i = 0; i < kChains; ++i) chain[i] = _mm512_dpbf16_ps(chain[i], factor, term);
  }
  Floats total = {};
  for (int i = 0; i < kChains; ++i) total += chain[i];
  *operations = rounds * kChains * kLanes * 4;
  return sum(total);
}

}  // namespace longhaul::cpu
