// defines: NumpyRandom
#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace longhaul::models {

/// NumPy's legacy generator, numpy.random.seed(seed) and numpy.random.permutation: MT19937 (Matsumoto & Nishimura 1998),
/// bounded numbers by masks and rejection. Needed to draw the same block lists as the public BigBird code.
class NumpyRandom {
 public:
  explicit NumpyRandom(uint32_t seed);
  uint32_t next();
  /// Uniform in [0, max]; max 0 draws nothing.
  uint32_t bounded(uint32_t max);
  std::vector<int32_t> permutation(std::vector<int32_t> values);

 private:
  static constexpr int kWords = 624, kShift = 397;
  void twist();
  std::array<uint32_t, kWords> words_;
  int at_ = kWords;
};

}  // namespace longhaul::models
