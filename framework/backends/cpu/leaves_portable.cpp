#include "framework/backends/cpu/simd/table.h"

namespace longhaul::cpu {

const Leaves& leaves_portable() { return LONGHAUL_SIMD::kTable; }

}  // namespace longhaul::cpu
