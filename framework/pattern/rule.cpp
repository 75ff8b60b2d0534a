#include "framework/pattern/rule.h"

namespace longhaul {

bool allows(const TileRule& rule, const Pair& pair) {
  const int64_t i = pair.query, j = pair.key;
  const auto has = [&](RuleTerm term) { return (rule.terms & term) != 0; };
  if (has(kCausal) && !(j <= i)) return false;
  if (has(kStrict) && !(j < i)) return false;
  if (has(kBand) && !(rule.band_lo <= j - i && j - i <= rule.band_hi)) return false;
  if (has(kSameSegment) && floor_div(i, rule.segment) != floor_div(j, rule.segment)) return false;
  if (has(kPreviousSegment) && !(floor_div(j, rule.segment) < floor_div(i, rule.segment))) return false;
  if (has(kStride) && floor_mod(i - j, rule.stride) != 0) return false;
  if (has(kTail) && !(floor_mod(j, rule.segment) >= rule.segment - rule.tail)) return false;
  if (has(kCompress) && !(rule.compress * j <= i)) return false;
  if (has(kSegmentId) && pair.query_segment != pair.key_segment) return false;
  if (has(kSameBucket) && pair.query_bucket != pair.key_bucket) return false;
  if (has(kNotGlobal) && pair.key_global) return false;
  if (has(kBits) && !pair.bit) return false;
  if (has(kFirstListing) && !pair.first_listing) return false;
  if (rule.self == SelfScore::kForbid && i == j) return false;
  return true;
}

namespace {

Coverage verdict(bool none, bool all) { return none ? Coverage::kNone : all ? Coverage::kAll : Coverage::kSome; }

Coverage classify_term(const TileRule& rule, RuleTerm term, Interval q, Interval k) {
  switch (term) {
    case kCausal:
      return verdict(k.first > q.last, k.last <= q.first);
    case kStrict:
      return verdict(k.first >= q.last, k.last < q.first);
    case kBand:
      return verdict(k.last - q.first < rule.band_lo || k.first - q.last > rule.band_hi,
                     k.first - q.last >= rule.band_lo && k.last - q.first <= rule.band_hi);
    case kSameSegment: {
      const int64_t l = rule.segment;
      const int64_t q0 = floor_div(q.first, l), q1 = floor_div(q.last, l), k0 = floor_div(k.first, l),
                    k1 = floor_div(k.last, l);
      return verdict(k1 < q0 || k0 > q1, q0 == q1 && k0 == k1 && q0 == k0);
    }
    case kPreviousSegment: {
      const int64_t l = rule.segment;
      return verdict(floor_div(k.first, l) >= floor_div(q.last, l), floor_div(k.last, l) < floor_div(q.first, l));
    }
    case kStride:
      return verdict(false, rule.stride == 1);
    case kTail: {
      const int64_t l = rule.segment, from = l - rule.tail;
      const bool one = floor_div(k.first, l) == floor_div(k.last, l);
      return verdict(one && floor_mod(k.last, l) < from, from <= 0 || (one && floor_mod(k.first, l) >= from));
    }
    case kCompress:
      return verdict(rule.compress * k.first > q.last, rule.compress * k.last <= q.first);
    case kSegmentId:
    case kSameBucket:
    case kNotGlobal:
    case kBits:
    case kFirstListing:
      return Coverage::kSome;
  }
  return Coverage::kSome;
}

}  // namespace

Coverage classify(const TileRule& rule, Interval queries, Interval keys) {
  if (queries.empty() || keys.empty()) return Coverage::kNone;
  Coverage all = Coverage::kAll;
  for (uint32_t bit = 1; bit != 0 && bit <= rule.terms; bit <<= 1) {
    if (!(rule.terms & bit)) continue;
    const Coverage one = classify_term(rule, static_cast<RuleTerm>(bit), queries, keys);
    if (one == Coverage::kNone) return Coverage::kNone;
    if (one == Coverage::kSome) all = Coverage::kSome;
  }
  const bool meet = queries.first <= keys.last && keys.first <= queries.last;
  if (rule.self != SelfScore::kKeep && meet) {
    const bool one_pair = queries.first == queries.last && keys.first == keys.last;
    if (rule.self == SelfScore::kForbid && one_pair) return Coverage::kNone;
    all = Coverage::kSome;
  }
  return all;
}

}  // namespace longhaul
