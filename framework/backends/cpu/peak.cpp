#include "framework/backends/cpu/peak.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <chrono>

#include "framework/backends/cpu/isa.h"
#include "framework/backends/cpu/leaves.h"

namespace longhaul::cpu {

double peak(DType dtype) {
  using Clock = std::chrono::steady_clock;
#if defined(__x86_64__)
  const auto loop = dtype == DType::kBF16 && isa() >= Isa::kAvx512Bf16 ? multiply_adds_bf16 : leaves().multiply_adds;
#else
  const auto loop = leaves().multiply_adds;
#endif
  constexpr int64_t kRounds = 200000;
  double best = 0;
  std::atomic<float> kept = 0;  // the result must be used
  for (int trial = 0; trial < 10; ++trial) {
    int64_t operations = 0;
    const auto begin = Clock::now();
#pragma omp parallel reduction(+ : operations)
    {
      int64_t own = 0;
      kept = loop(kRounds, &own);
      operations += own;
    }
    best =
        std::max(best, static_cast<double>(operations) / std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return best;
}

}  // namespace longhaul::cpu
