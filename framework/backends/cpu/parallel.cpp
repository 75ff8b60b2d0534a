#include "framework/backends/cpu/parallel.h"

#include <array>

namespace longhaul::cpu {

float* scratch(Slot slot, int64_t count) {
  thread_local std::array<std::vector<float>, static_cast<size_t>(Slot::kCount)> buffers;
  std::vector<float>& buffer = buffers[static_cast<size_t>(slot)];
  if (static_cast<int64_t>(buffer.size()) < count + 16) {
    buffer = {};  // release first: the old contents are not needed
    buffer.resize(static_cast<size_t>(count) + 16);
  }
  const uintptr_t address = reinterpret_cast<uintptr_t>(buffer.data());
  return reinterpret_cast<float*>((address + 63) / 64 * 64);
}

void add_partials(const float* partial, int64_t blocks, int64_t width, int64_t stride, float* total) {
  for_blocks(width, 256, [=](int64_t begin, int64_t end) {
    for (int64_t b = 0; b < blocks; ++b) {
      const float* line = partial + b * stride;
      for (int64_t j = begin; j < end; ++j) total[j] += line[j];
    }
  });
}

}  // namespace longhaul::cpu
