#include "framework/backends/cpu/simd/table.h"

namespace longhaul::cpu {

const Leaves& leaves_avx512() { return LONGHAUL_SIMD::kTable; }

}  // namespace longhaul::cpu
