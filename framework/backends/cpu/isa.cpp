#include "framework/backends/cpu/isa.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>

#include "framework/base/error.h"

namespace longhaul::cpu {
namespace {

constexpr std::array kAll = {Isa::kPortable, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16};

Isa detected() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("f16c"))
    return Isa::kPortable;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return Isa::kAvx2;
  }
  return __builtin_cpu_supports("avx512bf16") ? Isa::kAvx512Bf16 : Isa::kAvx512;
#else
  return Isa::kPortable;
#endif
}

Isa wished_by_environment() {
  const char* text = std::getenv("LONGHAUL_ISA");
  if (!text) return best_isa();
  for (const Isa level : kAll) {
    if (name_of(level) == text) return std::min(level, best_isa());
  }
  fail<ConfigError>("[cpu] LONGHAUL_ISA={} is no instruction set\n  hint: portable, avx2, avx512 or avx512_bf16", text);
}

std::atomic<Isa>& current() {
  static std::atomic<Isa> level{wished_by_environment()};
  return level;
}

}  // namespace

Isa best_isa() {
  static const Isa best = detected();
  return best;
}

Isa isa() { return current().load(std::memory_order_relaxed); }
void force_isa(Isa wished) { current().store(std::min(wished, best_isa()), std::memory_order_relaxed); }

std::string_view name_of(Isa level) {
  constexpr std::array<std::string_view, kAll.size()> names = {"portable", "avx2", "avx512", "avx512_bf16"};
  return names[static_cast<size_t>(level)];
}

}  // namespace longhaul::cpu
