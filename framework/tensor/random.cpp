#include "framework/tensor/random.h"

#include <cmath>
#include <numbers>

namespace longhaul {

double RandomStream::normal(uint64_t element) const {
  const auto words = block(element / 2);
  const int pair = static_cast<int>(element % 2) * 2;
  const double radius = std::sqrt(-2.0 * std::log((words[pair] + 1.0) * 0x1p-32));  // argument in (0, 1]
  return radius * std::cos(2.0 * std::numbers::pi * words[pair + 1] * 0x1p-32);
}

}  // namespace longhaul
