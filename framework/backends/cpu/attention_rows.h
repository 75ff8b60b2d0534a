// defines: score_keys
#pragma once
#include "framework/backends/cpu/attention_tile.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

/// Sum of each of kLanes vectors, one in every lane.
template <int kHalf, int... kLane>
LONGHAUL_INLINE Floats sums_of(Floats* r, std::integer_sequence<int, kLane...> lanes) {
#pragma GCC unroll 16
  for (int i = 0; i < kHalf; ++i) {
    const Floats a = r[i], b = r[i + kHalf];
    const Floats low = __builtin_shufflevector(a, b, ((kLane & kHalf) ? kLanes + kLane - kHalf : kLane)...);
    const Floats high = __builtin_shufflevector(a, b, ((kLane & kHalf) ? kLanes + kLane : kLane + kHalf)...);
    r[i] = low + high;
  }
  if constexpr (kHalf > 1) return sums_of<kHalf / 2>(r, lanes);
  return r[0];
}

/// scores[c] = query . key row c of a tile, read in place.
template <typename T>
static void score_keys(const float* query, const char* head, int64_t row_stride, const TileRows& rows, uint64_t valid,
                       int64_t d, float* scores) {
  const T* base = reinterpret_cast<const T*>(head);
  const int64_t whole = d / kLanes * kLanes;
  for (int c = 0; c < kTile; c += kLanes) {
    Floats part[kLanes];
#pragma GCC unroll 16
    for (int l = 0; l < kLanes; ++l) {
      part[l] = Floats{};
      if (!(valid >> (c + l) & 1)) continue;
      const T* row = base + rows.at(c + l) * row_stride;
      for (int64_t n = 0; n < whole; n += kLanes) part[l] = fma(load(query + n), load(row + n), part[l]);
      if (whole < d) part[l] = fma(load_first(query + whole, d - whole), load_first(row + whole, d - whole), part[l]);
    }
    store(scores + c, sums_of<kLanes / 2>(part, std::make_integer_sequence<int, kLanes>{}));
  }
}

static inline void score_keys(const float* query, const Operand& key, int64_t b, int64_t head, const TileRows& rows,
                              uint64_t valid, int64_t d, float* scores) {
  if (key.dtype == DType::kF32) {
    score_keys<float>(query, key.head(b, head), key.row_stride, rows, valid, d, scores);
  } else {
    score_keys<bfloat16>(query, key.head(b, head), key.row_stride, rows, valid, d, scores);
  }
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
