// defines: RuleTerm, SelfScore, TileRule, Pair, allows, Interval, Coverage, classify
#pragma once
#include <cstdint>

namespace longhaul {

/// Bits of TileRule::terms. A pair (query position i, key position j) is visible when every term that is set holds.
/// Divisions and remainders round towards minus infinity, so positions may be negative.
enum RuleTerm : uint32_t {
  kCausal = 1u << 0,           // j <= i
  kStrict = 1u << 1,           // j < i
  kBand = 1u << 2,             // band_lo <= j - i <= band_hi
  kSameSegment = 1u << 3,      // i div segment == j div segment
  kPreviousSegment = 1u << 4,  // j div segment < i div segment
  kStride = 1u << 5,           // (i - j) mod stride == 0
  kTail = 1u << 6,             // j mod segment >= segment - tail
  kCompress = 1u << 7,         // compress * j <= i, j a slot of a compressed memory
  kSegmentId = 1u << 8,        // TokenInfo::segment of both sides is equal
  kSameBucket = 1u << 9,       // TokenInfo::bucket of both sides is equal
  kNotGlobal = 1u << 10,       // TokenInfo::global of the key is 0
  kBits = 1u << 11,            // bit (row, column) of bit table `bit_table` is set
  kFirstListing = 1u << 12,    // no earlier listing of rounds of chunks holds the pair: TokenInfo::listing
};

/// What happens to the pair i == j where a tile rule makes it visible.
enum class SelfScore : uint8_t {
  kKeep,        // an ordinary score
  kForbid,      // excluded
  kLastResort,  // the score is kLastResortScore, without a gradient: it decides only when nothing else is visible
};

/// Score of the own key under SelfScore::kLastResort (Kitaev et al. 2020, Reformer, section 2).
inline constexpr float kLastResortScore = -1e5f;

/// The predicate inside a partial tile: an AND of terms on original positions. Plain bytes, the same for every device.
struct TileRule {
  uint32_t terms = 0;
  int32_t band_lo = 0, band_hi = 0;
  int32_t segment = 0, stride = 0, tail = 0, compress = 0;
  int32_t bit_table = -1;
  SelfScore self = SelfScore::kKeep;

  bool operator==(const TileRule&) const = default;
  /// True when the rule excludes nothing and changes no score.
  bool is_full() const { return terms == 0 && self == SelfScore::kKeep; }
};

/// Everything a rule can look at, of one pair.
struct Pair {
  int64_t query = 0, key = 0;                  // positions
  int32_t query_segment = 0, key_segment = 0;  // for kSegmentId
  int32_t query_bucket = 0, key_bucket = 0;    // for kSameBucket
  bool key_global = false;                     // for kNotGlobal
  bool bit = true;                             // for kBits
  bool first_listing = true;                   // for kFirstListing
};

/// True when the pair is visible; SelfScore::kForbid counts as a term.
bool allows(const TileRule& rule, const Pair& pair);

/// Positions first <= p <= last.
struct Interval {
  int64_t first = 0, last = -1;
  bool empty() const { return last < first; }
};

enum class Coverage : uint8_t { kNone, kSome, kAll };

/// Whether a rule admits none, some or all pairs of a tile whose positions lie in the given intervals. kNone and kAll
/// are certain; kSome may be answered for a tile that a combination of terms happens to empty.
Coverage classify(const TileRule& rule, Interval queries, Interval keys);

inline int64_t floor_div(int64_t a, int64_t b) { return a / b - ((a % b != 0 && (a % b < 0) != (b < 0)) ? 1 : 0); }
inline int64_t floor_mod(int64_t a, int64_t b) { return a - floor_div(a, b) * b; }

}  // namespace longhaul
