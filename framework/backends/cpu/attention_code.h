// defines: code(): the functions of the instruction set this file is compiled for
#pragma once
#include "framework/backends/cpu/attention_backward.h"
#include "framework/backends/cpu/attention_few.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

/// Independent multiply-adds between registers: the most this core can do. `seed` keeps the compiler from folding.
template <bool kPairs>
static double peak_loop(int64_t rounds) {
  constexpr int kSums = kBlockRows * kBlockVectors;
  Floats sum[kSums];
  for (int n = 0; n < kSums; ++n) sum[n] = broadcast(1e-3f * static_cast<float>(n));
  Words a = broadcast_word(0x3f803f80u), b = broadcast_word(0x2f802f80u);
  for (int64_t r = 0; r < rounds; ++r) {
    asm volatile("" : "+x"(a), "+x"(b));
#pragma GCC unroll 32
    for (int n = 0; n < kSums; ++n) sum[n] = multiply_words(a, b, sum[n], std::bool_constant<kPairs>{});
  }
  Floats total = sum[0];
  for (int n = 1; n < kSums; ++n) total += sum[n];
  asm volatile("" : : "x"(total));
  return static_cast<double>(rounds) * kSums * kLanes * (kPairs ? 4 : 2);
}

template <bool kPairs>
static const AttentionCode& code() {
  static constexpr AttentionCode table = {forward_task<kPairs>,  forward_few_task, merge_few,
                                          backward_task<kPairs>, add_splits,       peak_loop<kPairs>};
  return table;
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
