// defines: philox4x32, RandomStream, Stream ids
#pragma once
#include <array>
#include <bit>
#include <cstdint>

namespace longhaul {

/// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): four words from a counter and a key.
inline std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = uint64_t{0xD2511F53u} * counter[0];
    const uint64_t second = uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<uint32_t>(second >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(second),
               static_cast<uint32_t>(first >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(first)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

/// The finaliser of splitmix64, a bijection on 64 bits.
constexpr uint64_t mix64(uint64_t x) {
  x ^= x >> 30;
  x *= 0xBF58476D1CE4E5B9u;
  x ^= x >> 27;
  x *= 0x94D049BB133111EBu;
  return x ^ x >> 31;
}

/// What a random number is for. Part of the counter, so purposes never share numbers.
enum class RandomPurpose : uint32_t { kInit = 1, kEmbeddingDropout, kAttentionDropout, kResidualDropout, kSampling, kTest, kHeadDropout, kMasking, kHashRotation, kRandomBlocks };

/// A place to draw from: key (seed, step), counter (layer, purpose, logical index). Nothing is stored between draws, so
/// recomputation, another device, another thread count and a resumed run draw the same numbers for the same index.
struct RandomStream {
  uint64_t seed = 0;
  uint64_t step = 0;
  uint32_t layer = 0;
  RandomPurpose purpose = RandomPurpose::kTest;

  std::array<uint32_t, 2> key() const {
    const uint64_t k = mix64(mix64(seed + 0x9E3779B97F4A7C15u) ^ step);
    return {static_cast<uint32_t>(k), static_cast<uint32_t>(k >> 32)};
  }
  /// Words of block `index`; element e of a stream uses word e % 4 of block e / 4.
  std::array<uint32_t, 4> block(uint64_t index) const {
    return philox4x32({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), layer, static_cast<uint32_t>(purpose)}, key());
  }
  uint32_t word(uint64_t element) const { return block(element / 4)[element % 4]; }
  /// Uniform in [0, 1) with 24 random bits.
  float uniform(uint64_t element) const { return static_cast<float>(word(element) >> 8) * 0x1p-24f; }
  /// Standard normal by Box and Muller (1958), in f64.
  double normal(uint64_t element) const;
};

/// Keep an element when its random word is at least this threshold: P(keep) = 1 - probability.
constexpr uint32_t dropout_threshold(double probability) {
  const double scaled = probability * 4294967296.0;
  return scaled >= 4294967295.0 ? 0xffffffffu : static_cast<uint32_t>(scaled);
}

}  // namespace longhaul
