// defines: Isa, isa, best_isa, force_isa, name_of(Isa)
#pragma once
#include <string_view>

namespace longhaul::cpu {

/// Instruction sets that kernels are compiled for, each containing those before it.
enum class Isa : int { kPortable, kAvx2, kAvx512, kAvx512Bf16 };

/// What this machine can run (AVX2 includes FMA; AVX-512 means F, BW, DQ and VL).
Isa best_isa();
/// What kernels use: the best, unless the environment variable LONGHAUL_ISA (portable, avx2, avx512, avx512_bf16) or
/// force_isa asks for less. A wish for more than the machine has is capped.
Isa isa();
/// For tests and benchmarks; takes effect with the next kernel call of any thread.
void force_isa(Isa wished);
std::string_view name_of(Isa isa);

}  // namespace longhaul::cpu
