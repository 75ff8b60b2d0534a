// defines: TileRows, KeyFacts, QueryFacts, row masks, packing of tiles
#pragma once
#include "framework/backends/cpu/attention_call.h"
#include "framework/backends/cpu/attention_gemm.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

inline constexpr float kMinusInfinity = -__builtin_inff();
inline constexpr float kLog2E = 1.44269504088896341f;
inline constexpr double kLn2 = 0.69314718055994530942;

/// Columns of a packed operand: a whole number of vectors of words.
LONGHAUL_INLINE int64_t padded(int64_t width) { return (width + 31) / 32 * 32; }
template <bool kPairs>
LONGHAUL_INLINE int64_t words_of(int64_t width) {
  return kPairs ? padded(width) / 2 : padded(width);
}

/// The tensor rows of one tile: first .. first + count - 1, or rows[0 .. count - 1] with -1 for padding.
struct TileRows {
  const int32_t* rows = nullptr;
  int64_t first = 0;
  int count = 0;
  int64_t at(int r) const { return rows ? rows[r] : first + r; }
};

LONGHAUL_INLINE TileRows tile_rows(const TokenInfo& info, const Permutation* permutation, int64_t b, int64_t h,
                                   int64_t tile, int64_t rows) {
  TileRows out;
  out.first = tile * kTile;
  const int64_t left = rows - out.first;
  out.count = static_cast<int>(left < kTile ? left : kTile);
  if (info.rows) {
    out.rows = info.rows.at(b, h) + out.first;
  } else if (permutation && !permutation->empty()) {
    const int64_t plane = (permutation->batches > 1 ? b : 0) * permutation->heads + (permutation->heads > 1 ? h : 0);
    out.rows = permutation->rows.data() + plane * rows + out.first;
  }
  return out;
}

/// The rows of a key tile, or of a side key tile behind them.
LONGHAUL_INLINE TileRows key_tile_rows(const AttentionCall& call, int64_t b, int64_t h, int64_t column) {
  return column >= call.key_tiles
             ? tile_rows(call.side_info, nullptr, b, h, column - call.key_tiles, call.side_keys)
             : tile_rows(call.key_info, &call.pattern->key_permutation(), b, h, column, call.key_rows);
}

/// What rules look at, of the rows of one tile.
struct TileFacts {
  TileRows rows;
  bool straight;  // positions are start .. start + count - 1
  int32_t start;
  uint64_t valid;  // rows that exist and are valid
  uint64_t global;
  alignas(64) int32_t position[kTile];
  alignas(64) int32_t segment[kTile];
  alignas(64) int32_t bucket[kTile];
  const int32_t* chunk;    // for kFirstListing: of the token at position 0
  const Listing* listing;  // likewise
};

/// `terms`: what the rules of the pattern use.
static inline void load_facts(TileFacts& facts, const TileRows& rows, const TokenInfo& info, int64_t offset, int64_t b,
                              int64_t h, uint32_t terms) {
  facts.rows = rows;
  facts.straight = !rows.rows && !info.position;
  facts.start = static_cast<int32_t>(rows.first + offset);
  facts.valid = rows.count == kTile ? ~uint64_t{0} : (uint64_t{1} << rows.count) - 1;
  facts.global = 0;
  const uint8_t* valid = info.valid ? info.valid.at(b, h) : nullptr;
  if (rows.rows || valid) {
    for (int r = 0; r < rows.count; ++r) {
      const int64_t row = rows.at(r);
      if (row < 0 || (valid && valid[row] == 0)) facts.valid &= ~(uint64_t{1} << r);
    }
  }
  const int32_t* position = info.position ? info.position.at(b, h) : nullptr;
  for (int r = 0; r < kTile; ++r) {
    const int64_t row = r < rows.count ? rows.at(r) : -1;
    facts.position[r] = row < 0 ? 0 : position ? position[row] : static_cast<int32_t>(row + offset);
  }
  const auto gather = [&](const TokenField<int32_t>& field, int32_t* to) {
    const int32_t* from = field ? field.at(b, h) : nullptr;
    for (int r = 0; r < kTile; ++r) {
      const int64_t row = r < rows.count ? rows.at(r) : -1;
      to[r] = from && row >= 0 ? from[row] : 0;
    }
  };
  if (terms & kSegmentId) gather(info.segment, facts.segment);
  if (terms & kSameBucket) gather(info.bucket, facts.bucket);
  facts.chunk = info.chunk ? info.chunk.at(b, h) : nullptr;
  facts.listing = &info.listing;
  if ((terms & kNotGlobal) && info.global) {
    const uint8_t* from = info.global.at(b, h);
    for (int r = 0; r < rows.count; ++r) {
      if (rows.at(r) >= 0 && from[rows.at(r)]) facts.global |= uint64_t{1} << r;
    }
  }
}

LONGHAUL_INLINE int32_t clamp32(int64_t x) {
  return x < -2147483647 ? -2147483647 : x > 2147483647 ? 2147483647 : static_cast<int32_t>(x);
}

/// Bits start + c in [lo, hi] for c < 64.
LONGHAUL_INLINE uint64_t bits_of_range(int64_t start, int64_t lo, int64_t hi) {
  const int64_t first = lo - start < 0 ? 0 : lo - start, last = hi - start > kTile - 1 ? kTile - 1 : hi - start;
  if (first > last) return 0;
  return (~uint64_t{0} >> (kTile - 1 - (last - first))) << first;
}

enum class TileKind { kEmpty, kPartial, kWhole };

/// Takes pairs that are listed before out of the masks of a tile. The keys are side keys from slot `side` on; -1: main keys.
static void keep_first_listings(const TileFacts& query, const TileFacts& key, int64_t side, uint64_t* masks) {
  const Listing& listing = *key.listing;
  alignas(64) int32_t chunks[kTile];
  for (int32_t q = 0; q < listing.rounds; ++q) {
    uint64_t later = 0;  // keys whose listing in this round of the query comes after that of round q
    for (int c = 0; c < kTile; ++c) {
      chunks[c] = key.valid >> c & 1 ? key.chunk[key.position[c] + q * listing.stride] : 0;
      if ((side < 0 ? listing.round : listing.round_of_side(side + c)) > q) later |= uint64_t{1} << c;
    }
    for (int r = 0; r < query.rows.count; ++r) {
      if (masks[r] == 0) continue;
      for (int32_t p = 0; p <= listing.round; ++p) {
        const int32_t own = query.chunk[query.position[r] + p * listing.stride], lo = own - listing.before, hi = own + listing.after;
        uint64_t seen = bits_between(chunks, lo, hi);
        if (lo < 0) seen |= bits_between(chunks, lo + listing.chunks, listing.chunks - 1);
        if (hi >= listing.chunks) seen |= bits_between(chunks, 0, hi - listing.chunks);
        masks[r] &= ~(p < listing.round ? seen : seen & later);
      }
    }
  }
}

/// masks[r]: the keys that row r sees; bit r of `own`: which masks hold the pair i == j, for SelfScore::kLastResort.
static TileKind tile_masks(const Pattern& pattern, const TileEntry& entry, const TileFacts& query, const TileFacts& key,
                           uint64_t* masks) {
  const TileRule& rule = pattern.rule(entry);
  const uint32_t terms = rule.terms;
  uint64_t keys = key.valid;
  if (terms & kNotGlobal) keys &= ~key.global;
  alignas(64) int32_t residue[kTile];
  if (terms & kTail) {
    for (int c = 0; c < kTile; ++c) {
      if (floor_mod(key.position[c], rule.segment) < rule.segment - rule.tail) keys &= ~(uint64_t{1} << c);
    }
  }
  if (terms & kStride) {
    for (int c = 0; c < kTile; ++c) residue[c] = static_cast<int32_t>(floor_mod(key.position[c], rule.stride));
  }
  const uint64_t* bits = (terms & kBits) ? pattern.bit_table(rule.bit_table).data() : nullptr;
  uint64_t any = 0, all = ~uint64_t{0};
  for (int r = 0; r < query.rows.count; ++r) {
    if (!(query.valid >> r & 1)) {
      masks[r] = 0;
      all = 0;
      continue;
    }
    const int64_t i = query.position[r];
    int64_t lo = -2147483647, hi = 2147483647;
    const auto at_least = [&](int64_t x) { lo = x > lo ? x : lo; };
    const auto at_most = [&](int64_t x) { hi = x < hi ? x : hi; };
    if (terms & kCausal) at_most(i);
    if (terms & kStrict) at_most(i - 1);
    if (terms & kBand) at_least(i + rule.band_lo), at_most(i + rule.band_hi);
    if (terms & kSameSegment) {
      const int64_t from = floor_div(i, rule.segment) * rule.segment;
      at_least(from), at_most(from + rule.segment - 1);
    }
    if (terms & kPreviousSegment) at_most(floor_div(i, rule.segment) * rule.segment - 1);
    if (terms & kCompress) at_most(floor_div(i, rule.compress));
    uint64_t mask = keys;
    if (key.straight) {
      mask &= bits_of_range(key.start, lo, hi);
    } else {
      mask &= bits_between(key.position, clamp32(lo), clamp32(hi));
    }
    if (terms & kStride) {
      const int32_t own = static_cast<int32_t>(floor_mod(i, rule.stride));
      mask &= bits_between(residue, own, own);
    }
    if (terms & kSegmentId) mask &= bits_between(key.segment, query.segment[r], query.segment[r]);
    if (terms & kSameBucket) mask &= bits_between(key.bucket, query.bucket[r], query.bucket[r]);
    if (bits) mask &= bits[r];
    if (rule.self == SelfScore::kForbid)
      mask &= ~(key.straight ? bits_of_range(key.start, i, i) : bits_between(key.position, clamp32(i), clamp32(i)));
    masks[r] = mask;
    any |= mask;
    all &= mask;
  }
  for (int r = query.rows.count; r < kTile; ++r) masks[r] = 0;
  if ((terms & kFirstListing) && any != 0) {
    const int64_t side = (entry.column - pattern.key_tiles()) * kTile;
    keep_first_listings(query, key, side < 0 ? -1 : side, masks);
    any = 0, all = ~uint64_t{0};
    for (int r = 0; r < kTile; ++r) {
      any |= masks[r];
      if (r < query.rows.count) all &= masks[r];
    }
  }
  return any == 0 ? TileKind::kEmpty : all == ~uint64_t{0} ? TileKind::kWhole : TileKind::kPartial;
}

/// Columns of row r that hold its own position.
LONGHAUL_INLINE uint64_t own_bits(const TileFacts& query, const TileFacts& key, int r) {
  const int32_t i = query.position[r];
  return key.straight ? bits_of_range(key.start, i, i) : bits_between(key.position, i, i);
}

/// One row of `width` elements as words, zeros from there on.
template <bool kPairs, typename T>
LONGHAUL_INLINE void stage_row(uint32_t* to, const T* from, int64_t width, int64_t words) {
  if constexpr (kPairs == std::is_same_v<T, bfloat16>) {  // as it is
    constexpr int64_t kStep = kLanes * 4 / static_cast<int64_t>(sizeof(T));
    T* row = reinterpret_cast<T*>(to);
    int64_t c = 0;
    for (; c + kStep <= width; c += kStep) std::memcpy(row + c, from + c, sizeof(Words));
    for (; c < width; ++c) row[c] = from[c];
    for (; c < words * 4 / static_cast<int64_t>(sizeof(T)); ++c) row[c] = T();
  } else {
    using To = std::conditional_t<kPairs, bfloat16, float>;
    To* row = reinterpret_cast<To*>(to);
    int64_t c = 0;
    for (; c + kLanes <= width; c += kLanes) store(row + c, load(from + c));
    for (; c < width; ++c) row[c] = static_cast<To>(static_cast<float>(from[c]));
    for (; c < words * 4 / static_cast<int64_t>(sizeof(To)); ++c) row[c] = To();
  }
}

/// Rows of a strided operand as rows of words, zeros for padding, for rows outside of `valid` and from `width` on.
/// Returns true when a number in it is not finite.
template <bool kPairs, typename T>
static bool stage_rows(uint32_t* to, const char* head, int64_t row_stride, const TileRows& rows, uint64_t valid,
                       int64_t width) {
  const int64_t words = words_of<kPairs>(width);
  const T* base = reinterpret_cast<const T*>(head);
  for (int r = 0; r < kTile; ++r) {
    uint32_t* row = to + r * words;
    if (valid >> r & 1) {
      stage_row<kPairs>(row, base + rows.at(r) * row_stride, width, words);
    } else {
      for (int64_t c = 0; c < words; c += kLanes) store_words(row + c, Words{});
    }
  }
  Words odd = {};  // the largest exponents
  for (int64_t n = 0; n < kTile * words; n += kLanes) {
    const Words w = load_words(to + n), high = w & 0x7f800000u;
    odd = odd > high ? odd : high;
    if constexpr (kPairs) {
      const Words low = (w << 16) & 0x7f800000u;
      odd = odd > low ? odd : low;
    }
  }
  return bits_of(reinterpret_cast<Ints>(odd == 0x7f800000u)) != 0;
}

template <bool kPairs>
static bool stage(uint32_t* to, const Operand& operand, int64_t b, int64_t head, const TileRows& rows, uint64_t valid,
                  int64_t width) {
  if (operand.dtype == DType::kF32) {
    return stage_rows<kPairs, float>(to, operand.head(b, head), operand.row_stride, rows, valid, width);
  }
  return stage_rows<kPairs, bfloat16>(to, operand.head(b, head), operand.row_stride, rows, valid, width);
}

/// Asks the memory for one row of `width` elements.
LONGHAUL_INLINE void prefetch_row(const Operand& operand, int64_t b, int64_t head, int64_t row, int64_t width) {
  const int64_t size = static_cast<int64_t>(size_of(operand.dtype));
  const char* from = operand.head(b, head) + row * operand.row_stride * size;
  for (int64_t byte = 0; byte < width * size; byte += 64) __builtin_prefetch(from + byte, 0, 2);
}

/// Staged rows [64][words] to [words][64].
static inline void transpose_tile(const uint32_t* from, int64_t words, uint32_t* to) {
  for (int64_t c = 0; c < words; c += kLanes) {
    for (int r = 0; r < kTile; r += kLanes) transpose_block(from + r * words + c, words, to + c * kTile + r, kTile);
  }
}

/// Staged rows of pairs along the width [64][words] to pairs along the rows [32][2 words].
static inline void interleave_rows(const uint32_t* from, int64_t words, uint32_t* to) {
  for (int r = 0; r < kTile; r += 2) {
    const uint32_t *even = from + r * words, *odd = even + words;
    uint32_t* row = to + r / 2 * (2 * words);
    for (int64_t c = 0; c < words; c += kLanes) {
      Words a, b;
      std::memcpy(&a, even + c, sizeof a);
      std::memcpy(&b, odd + c, sizeof b);
      const Words first = (a & 0xffffu) | (b << 16),
                  second = (a >> 16) | (b & 0xffff0000u);  // elements 2 c and 2 c + 1
      const auto zip = [&]<int... kLane>(std::integer_sequence<int, kLane...>) {
        const Words low = __builtin_shufflevector(first, second, ((kLane & 1) * kLanes + kLane / 2)...);
        const Words high = __builtin_shufflevector(first, second, ((kLane & 1) * kLanes + kLane / 2 + kLanes / 2)...);
        std::memcpy(row + 2 * c, &low, sizeof low);
        std::memcpy(row + 2 * c + kLanes, &high, sizeof high);
      };
      zip(std::make_integer_sequence<int, kLanes>{});
    }
  }
}

/// Element (k, n) of an operand of words: pairs lie along k.
template <bool kPairs>
LONGHAUL_INLINE float element(const uint32_t* words, int64_t k, int64_t k_step, int64_t n, int64_t n_step) {
  if constexpr (!kPairs) return std::bit_cast<float>(words[k * k_step + n * n_step]);
  const uint32_t pair = words[k / 2 * k_step + n * n_step];
  return std::bit_cast<float>(k & 1 ? pair & 0xffff0000u : pair << 16);
}

/// c[m] += sum over the k that `sees(m, k)` of a(m, k) b(k): for tiles with numbers that are not finite, where 0 times
/// an unseen row would spread them.
template <bool kPairs, typename Sees>
static void multiply_seen(const uint32_t* a, int64_t a_row, int64_t a_step, const uint32_t* b, int64_t b_row, float* c,
                          int64_t c_row, int64_t columns, Sees sees) {
  for (int m = 0; m < kTile; ++m) {
    for (int k = 0; k < kTile; ++k) {
      if (!sees(m, k)) continue;
      const float factor = element<kPairs>(a, k, a_step, m, a_row);
      for (int64_t n = 0; n < columns; ++n) c[m * c_row + n] += factor * element<kPairs>(b, k, b_row, n, 1);
    }
  }
}

/// The keys that the rows of one phase of a tile see: first .. last - 1 as sums need them (multiples of 4), and columns
/// first_column .. last_column - 1 of their scores (multiples of 16).
struct KeyRange {
  int64_t first = 0, last = kTile, first_column = 0, last_column = kTile;

  KeyRange() = default;
  explicit KeyRange(uint64_t seen) {
    const int lowest = __builtin_ctzll(seen), highest = 63 - __builtin_clzll(seen);
    first = lowest / 4 * 4, last = highest / 4 * 4 + 4;
    first_column = lowest / 16 * 16, last_column = highest / 16 * 16 + 16;
  }
};

/// Rows of a tile that go through scores, softmax and sums together. Fewer of a tile that rules cut: what none of them
/// sees is left out.
LONGHAUL_INLINE int phase_rows(bool whole) { return whole ? kTile : 16; }

LONGHAUL_INLINE uint64_t seen_by(const uint64_t* masks, int rows) {
  uint64_t seen = 0;
  for (int r = 0; r < rows; ++r) seen |= masks[r];
  return seen;
}

LONGHAUL_INLINE DropoutKey dropout_key(const AttentionCall& call) {
  return {call.stream.layer, static_cast<uint32_t>(call.stream.purpose), call.dropout_key0, call.dropout_key1,
          call.drop_below};
}

/// Dropout of one query row whose element 0 is `row_element`: bit c is kept.
LONGHAUL_INLINE uint64_t dropout_bits(const AttentionCall& call, uint64_t row_element, const TileFacts& key,
                                      bool side) {
  const uint64_t base = row_element + (side ? static_cast<uint64_t>((call.keys + 3) / 4 * 4) : 0);
  if (!key.rows.rows)
    return dropout_bits_of_blocks((base + static_cast<uint64_t>(key.rows.first)) / 4, dropout_key(call));
  alignas(64) int32_t offset[kTile];
  for (int c = 0; c < kTile; ++c) offset[c] = c < key.rows.count && key.rows.rows[c] >= 0 ? key.rows.rows[c] : 0;
  return dropout_bits_of_elements(base, offset, dropout_key(call));
}

/// Writes n floats times a factor in the dtype of a strided operand.
static inline void write_row(const Operand& operand, int64_t b, int64_t head, int64_t row, const float* from,
                             float factor, int64_t n) {
  char* base = operand.head(b, head);
  if (operand.dtype == DType::kF32) {
    float* to = reinterpret_cast<float*>(base) + row * operand.row_stride;
    int64_t c = 0;
    for (; c + kLanes <= n; c += kLanes) store(to + c, load(from + c) * factor);
    for (; c < n; ++c) to[c] = from[c] * factor;
  } else {
    bfloat16* to = reinterpret_cast<bfloat16*>(base) + row * operand.row_stride;
    int64_t c = 0;
    for (; c + kLanes <= n; c += kLanes) store(to + c, load(from + c) * factor);
    for (; c < n; ++c) to[c] = bfloat16(from[c] * factor);
  }
}

#if defined(__AVX512BF16__)
/// Two rows of f32 as bf16: pairs along the columns of each row, and pairs of the two rows.
LONGHAUL_INLINE void pack_row_pair(const Floats* even, const Floats* odd, uint32_t* rows, uint32_t* pairs) {
  alignas(64) static constexpr uint16_t kLow[32] = {0, 32, 1, 33, 2,  34, 3,  35, 4,  36, 5,  37, 6,  38, 7,  39,
                                                    8, 40, 9, 41, 10, 42, 11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
  const __m512i low = _mm512_load_si512(kLow), high = _mm512_add_epi16(low, _mm512_set1_epi16(16));
#pragma GCC unroll 2
  for (int v = 0; v < kTileVectors; v += 2) {
    const auto a = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(even[v + 1], even[v]));
    const auto b = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(odd[v + 1], odd[v]));
    if (rows) {
      std::memcpy(rows + v / 2 * kLanes, &a, sizeof a);
      std::memcpy(rows + kTile / 2 + v / 2 * kLanes, &b, sizeof b);
    }
    const __m512i first = _mm512_permutex2var_epi16(a, low, b), second = _mm512_permutex2var_epi16(a, high, b);
    std::memcpy(pairs + v * kLanes, &first, sizeof first);
    std::memcpy(pairs + (v + 1) * kLanes, &second, sizeof second);
  }
}
#endif

/// Hands out 64-byte aligned pieces of a thread's scratch.
class Carver {
 public:
  explicit Carver(char* at) : at_(at) {}
  template <typename T>
  T* take(int64_t count) {
    T* out = reinterpret_cast<T*>(at_);
    at_ += (count * static_cast<int64_t>(sizeof(T)) + 63) / 64 * 64;
    return out;
  }

 private:
  char* at_;
};

}  // namespace longhaul::cpu::LONGHAUL_SIMD
