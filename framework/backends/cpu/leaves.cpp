#include "framework/backends/cpu/leaves.h"

#include "framework/backends/cpu/isa.h"

namespace longhaul::cpu {

const Leaves& leaves() {
#if defined(__x86_64__)
  switch (isa()) {
    case Isa::kAvx512Bf16:
    case Isa::kAvx512:
      return leaves_avx512();
    case Isa::kAvx2:
      return leaves_avx2();
    case Isa::kPortable:
      break;
  }
#endif
  return leaves_portable();
}

}  // namespace longhaul::cpu
