// defines: forward_task
#pragma once
#include <cmath>

#include "framework/backends/cpu/attention_relative.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

/// A key tile, packed: keys transposed for scores, values by rows for the output.
template <bool kPairs>
struct KeyTile {
  TileFacts facts;
  bool side = false;
  bool finite = true;
  uint32_t *keys, *values, *staged;  // [words(d)][64], [64 or 32][padded(dv)], [64][words]

  void load(const AttentionCall& call, int64_t b, int64_t h, int64_t column) {
    side = column >= call.key_tiles;
    const TokenInfo& info = side ? call.side_info : call.key_info;
    const TileRows rows = key_tile_rows(call, b, h, column);
    load_facts(facts, rows, info, side ? call.pattern->side_offset() : call.pattern->extent().key_offset, b, h,
               call.pattern->terms());
    const int64_t head = h / call.group;
    stage<kPairs>(staged, side ? call.side_key : call.key, b, head, rows, facts.valid, call.d);
    transpose_tile(staged, words_of<kPairs>(call.d), keys);
    const Operand& value = side ? call.side_value : call.value;
    if constexpr (kPairs) {
      finite = !stage<kPairs>(staged, value, b, head, rows, facts.valid, call.dv);
      interleave_rows(staged, words_of<kPairs>(call.dv), values);
    } else {
      finite = !stage<kPairs>(values, value, b, head, rows, facts.valid, call.dv);
    }
  }
};

inline constexpr int kAheadRows = 8;  // query rows between two steps

/// Asks the memory for the rows of the next key tile, a few at a time: more at once would be more than it takes.
class KeysAhead {
 public:
  KeysAhead() = default;
  KeysAhead(const AttentionCall& call, int64_t b, int64_t h, int64_t column, int steps)
      : rows_(key_tile_rows(call, b, h, column)), step_((rows_.count + steps - 1) / steps) {
    const bool side = column >= call.key_tiles;
    key_ = side ? call.side_key : call.key, value_ = side ? call.side_value : call.value;
    b_ = b, head_ = h / call.group, d_ = call.d, dv_ = call.dv;
  }
  /// Rows that lie far apart cost an address translation each, which is more than the wait for them.
  static bool pays(const AttentionCall& call) {
    constexpr int64_t kNear = 1024;  // bytes
    return call.key.row_stride * static_cast<int64_t>(size_of(call.key.dtype)) <= kNear &&
           call.value.row_stride * static_cast<int64_t>(size_of(call.value.dtype)) <= kNear;
  }
  void step() {
    const int left = rows_.count - at_, end = at_ + (left < step_ ? left : step_);
    for (; at_ < end; ++at_) {
      if (rows_.at(at_) < 0) continue;
      prefetch_row(key_, b_, head_, rows_.at(at_), d_);
      prefetch_row(value_, b_, head_, rows_.at(at_), dv_);
    }
  }

 private:
  TileRows rows_;
  int step_ = 0, at_ = 0;
  Operand key_, value_;
  int64_t b_ = 0, head_ = 0, d_ = 0, dv_ = 0;
};

/// One query tile of one head on its way over the keys.
struct QueryState {
  TileFacts facts;
  int64_t head;
  const TileEntry *next, *end;
  uint32_t* query;  // [64][words(d)]
  float* out;       // [64][padded(dv)], not yet divided by the sums
  float* reference; // [64] score whose probability counts as 1, before the scale
  float* sums;      // [64][kLanes]
  uint64_t dropout_base;
  uint32_t* relative_query;  // [64][words(relative width)]
  float* relative_kept;      // [64][64], see relative_scores
  int64_t relative_block;
};

/// How far scores may exceed the reference of their row before it moves: probabilities stay below 2^8.
LONGHAUL_INLINE float reference_slack(float c) { return 8 / c < 1e30f ? 8 / c : 1e30f; }

/// One row of scores becomes probabilities exp2(c (score - reference)), which are added to `sums`. The reference is the
/// largest score, or one up to `slack` below it that serves still. Returns true when it moved: what was summed so far
/// must be multiplied by `factor`.
template <bool kMasked>
LONGHAUL_INLINE bool softmax_row(const float* scores, uint64_t mask, float c, float slack, float& reference,
                                 float* sums, Floats* p, float& factor) {
  Floats top[2];
#pragma GCC unroll 16
  for (int v = 0; v < kTileVectors; ++v) {
    p[v] = load(scores + v * kLanes);
    if constexpr (kMasked) p[v] = select_bits(mask, v, p[v], broadcast(kMinusInfinity));
    top[v % 2] = v < 2 ? p[v] : max(top[v % 2], p[v]);
  }
  const Floats tops = max(top[0], top[1]);
  bool moved = false;
  if (any_greater(tops, broadcast(reference + slack))) [[unlikely]] {
    const float before = reference;
    reference = largest(tops);
    factor = exp2_one((before - reference) * c);
    store(sums, load(sums) * factor);
    moved = true;
  }
  const float shift = reference == kMinusInfinity ? 0 : -reference * c;
  Floats total[2];
#pragma GCC unroll 4
  for (int side = 0; side < kTileVectors; side += kSide) {
#pragma GCC unroll 4
    for (int v = side; v < side + kSide; ++v) p[v] = fma(p[v], broadcast(c), broadcast(shift));
    exp2_fast<kSide>(p + side);
#pragma GCC unroll 4
    for (int v = side; v < side + kSide; ++v) {
      if constexpr (kMasked) p[v] = keep_bits(mask, v, p[v]);
      total[v % 2] = v < 2 ? p[v] : total[v % 2] + p[v];
    }
  }
  store(sums, load(sums) + (total[0] + total[1]));
  return moved;
}

/// One row of probabilities as an operand: f32, or pairs along the keys.
template <bool kPairs>
LONGHAUL_INLINE void store_probabilities(const Floats* p, uint32_t* to) {
#if defined(__AVX512BF16__)
  if constexpr (kPairs) {
    for (int v = 0; v < kTileVectors; v += 2) {
      const __m512bh pair = _mm512_cvtne2ps_pbh(p[v + 1], p[v]);
      std::memcpy(to + v / 2 * kLanes, &pair, sizeof pair);
    }
    return;
  }
#endif
#pragma GCC unroll 16
  for (int v = 0; v < kTileVectors; ++v) store(reinterpret_cast<float*>(to) + v * kLanes, p[v]);
}

/// The scores of logm and of the own key as a last resort, which the ordinary path does not know.
static inline void adjust_scores(const AttentionCall& call, const TileEntry& entry, const TileRule& rule,
                                 const TileFacts& query, const TileFacts& key, int row, float* scores) {
  const float add = entry.logm / call.scale;
  if (add != 0) {
    for (int v = 0; v < kTileVectors; ++v) store(scores + v * kLanes, load(scores + v * kLanes) + add);
  }
  if (rule.self == SelfScore::kLastResort) {
    uint64_t own = own_bits(query, key, row);
    for (; own != 0; own &= own - 1) scores[__builtin_ctzll(own)] = kLastResortScore / call.scale + add;
  }
}

template <bool kPairs>
static void forward_tile(const AttentionCall& call, QueryState& state, const KeyTile<kPairs>& key,
                         const TileEntry& entry, float* scores, uint32_t* packed, KeysAhead& ahead,
                         const RelativeScratch& scratch) {
  const TileRule& rule = call.pattern->rule(entry);
  uint64_t masks[kTile];
  bool whole = rule.is_full() && key.facts.valid == ~uint64_t{0} && state.facts.valid == ~uint64_t{0};
  if (!whole) {
    const TileKind kind = tile_masks(*call.pattern, entry, state.facts, key.facts, masks);
    if (kind == TileKind::kEmpty) return;
    whole = kind == TileKind::kWhole;
  }
  const bool adjusted = entry.logm != 0 || rule.self == SelfScore::kLastResort;
  const float c = call.scale * kLog2E, slack = reference_slack(c);
  const int64_t dw = words_of<kPairs>(call.d), dvp = padded(call.dv);
  constexpr int64_t kFold = kPairs ? 2 : 1, kDepth = kTile / kFold;
  const bool relative = call.relative.present() && !key.side;
  RelativeTile shift;
  if (relative) {
    shift = relative_tile(call, state.facts, key.facts, whole ? nullptr : masks);
    relative_scores<kPairs>(call, state.head, shift, state.relative_query, state.facts.rows.count, state.relative_kept,
                            state.relative_block, scratch);
  }
  for (int r0 = 0; r0 < state.facts.rows.count; r0 += phase_rows(whole)) {
    const int left = state.facts.rows.count - r0, rows = left < phase_rows(whole) ? left : phase_rows(whole);
    KeyRange keys;
    if (!whole) {
      const uint64_t seen = seen_by(masks + r0, rows);
      if (seen == 0) continue;
      keys = KeyRange(seen);
    }
    multiply_tile<kPairs, false>(state.query + r0 * dw, dw, 1, key.keys + keys.first_column, kTile,
                                 scores + keys.first_column, kTile, rows, keys.last_column - keys.first_column, dw);
    uint32_t* probabilities = kPairs ? packed : reinterpret_cast<uint32_t*>(scores);
    for (int r = 0; r < rows; ++r) {
      const int row = r0 + r;
      if (r % kAheadRows == 0) ahead.step();
      float *at = scores + r * kTile, *sums = state.sums + row * kLanes;
      float factor = 1;
      Floats p[kTileVectors];
      if (relative) {
        add_relative_row(call, state.head, shift, scratch, state.facts, key.facts, row,
                         whole ? ~uint64_t{0} : masks[row], at);
      }
      if (adjusted) adjust_scores(call, entry, rule, state.facts, key.facts, row, at);
      const bool moved = whole
                             ? softmax_row<false>(at, 0, c, slack, state.reference[row], sums, p, factor)
                             : softmax_row<true>(at, masks[row], c, slack, state.reference[row], sums, p, factor);
      if (moved) {
        float* out = state.out + row * dvp;
        for (int64_t n = 0; n < dvp; n += kLanes) store(out + n, load(out + n) * factor);
      }
      if (call.drop_below) {
        const uint64_t kept = dropout_bits(
            call, state.dropout_base + static_cast<uint64_t>(state.facts.rows.at(row)) * call.dropout_width(),
            key.facts, key.side);
        for (int v = 0; v < kTileVectors; ++v) p[v] = keep_bits(kept, v, p[v]);
      }
      store_probabilities<kPairs>(p, probabilities + r * kDepth);
    }
    if (whole || key.finite) {
      const int64_t skip = keys.first / kFold;
      multiply_tile<kPairs, true>(probabilities + skip, kDepth, 1, key.values + skip * dvp, dvp, state.out + r0 * dvp, dvp, rows,
                                  dvp, keys.last / kFold - skip);
    } else {
      multiply_seen<kPairs>(probabilities, kDepth, 1, key.values, dvp, state.out + r0 * dvp, dvp, dvp,
                            [&](int m, int k) { return m < rows && (masks[r0 + m] >> k & 1) != 0; });
    }
  }
}

/// Divides by the sums and writes the rows of a finished query tile.
static inline void finish_queries(const AttentionCall& call, const QueryState& state, int64_t b) {
  const int64_t dvp = padded(call.dv);
  for (int r = 0; r < state.facts.rows.count; ++r) {
    const int64_t row = state.facts.rows.at(r);
    if (row < 0) continue;
    const float total = sum(load(state.sums + r * kLanes));
    float* lse = call.lse + (b * call.heads + state.head) * call.queries + row;
    const bool empty = total == 0;
    *lse = empty ? kMinusInfinity
                 : static_cast<float>(static_cast<double>(state.reference[r]) * call.scale +
                                      std::log(static_cast<double>(total)));
    float* out = state.out + r * dvp;
    if (empty) std::memset(out, 0, static_cast<size_t>(dvp) * sizeof(float));
    write_row(call.out, b, state.head, row, out, empty ? 0 : call.keep_scale / total, call.dv);
  }
}

/// The (query tile, head) pairs first .. last - 1 of one key head, tile by tile; every key tile is packed once for all
/// of them.
template <bool kPairs>
static void forward_task(const AttentionCall& call, const AttentionTask& task, char* scratch) {
  Carver carver(scratch);
  const int64_t dw = words_of<kPairs>(call.d), dvp = padded(call.dv);
  KeyTile<kPairs> key;
  key.keys = carver.take<uint32_t>(kTile * dw);
  key.values = carver.take<uint32_t>(kTile * dvp);
  float* scores = carver.take<float>(kTile * kTile);
  uint32_t* packed = carver.take<uint32_t>(kTile * kTile / 2);
  key.staged = carver.take<uint32_t>(kTile * (dw > dvp ? dw : dvp));
  RelativeScratch relative;
  relative.b = task.b;
  if (call.relative.present()) {
    relative.bands = carver.take<float>(2 * kTile * kTile);
    relative.bias = carver.take<float>(2 * kTile);
  }
  QueryState states[kernels::kAttentionGroup];
  const int count = static_cast<int>(task.last - task.first);
  for (int n = 0; n < count; ++n) {
    QueryState& state = states[n];
    const int64_t pair = task.first + n, tile = pair / call.group;
    state.head = task.key_head * call.group + pair % call.group;
    const TileRows rows =
        tile_rows(call.query_info, &call.pattern->query_permutation(), task.b, state.head, tile, call.query_rows);
    load_facts(state.facts, rows, call.query_info, call.pattern->extent().query_offset, task.b, state.head,
               call.pattern->terms());
    state.query = carver.take<uint32_t>(kTile * dw);
    state.out = carver.take<float>(kTile * dvp);
    state.reference = carver.take<float>(kTile);
    state.sums = carver.take<float>(kTile * kLanes);
    stage<kPairs>(state.query, call.query, task.b, state.head, rows, state.facts.valid, call.d);
    std::memset(state.out, 0, static_cast<size_t>(kTile * dvp) * sizeof(float));
    std::memset(state.sums, 0, static_cast<size_t>(kTile * kLanes) * sizeof(float));
    for (int r = 0; r < kTile; ++r) state.reference[r] = kMinusInfinity;
    const auto entries = call.pattern->row(call.pattern->layouts() > 1 ? static_cast<int>(state.head) : 0, tile);
    state.next = entries.data();
    state.end = entries.data() + entries.size();
    state.dropout_base = call.dropout_head(task.b, state.head);
    state.relative_block = -1;
    if (call.relative.query) {
      state.relative_query = carver.take<uint32_t>(kTile * words_of<kPairs>(call.relative.width));
      state.relative_kept = carver.take<float>(kTile * kTile);
      stage<kPairs>(state.relative_query, call.relative.query, task.b, state.head, rows, state.facts.valid,
                    call.relative.width);
    }
  }
  KeysAhead ahead;
  for (;;) {
    int32_t column = 0x7fffffff;
    for (int n = 0; n < count; ++n) {
      if (states[n].next != states[n].end && states[n].next->column < column) column = states[n].next->column;
    }
    if (column == 0x7fffffff) break;
    key.load(call, task.b, task.key_head * call.group, column);
    int32_t following = 0x7fffffff;
    for (int n = 0; n < count; ++n) {
      const TileEntry* next = states[n].next;
      if (next != states[n].end && next->column == column) ++next;
      if (next != states[n].end && next->column < following) following = next->column;
    }
    if (following != 0x7fffffff && KeysAhead::pays(call))
      ahead = KeysAhead(call, task.b, task.key_head * call.group, following, count * kTile / kAheadRows);
    for (int n = 0; n < count; ++n) {
      QueryState& state = states[n];
      if (state.next == state.end || state.next->column != column) continue;
      forward_tile(call, state, key, *state.next++, scores, packed, ahead, relative);
    }
  }
  for (int n = 0; n < count; ++n) finish_queries(call, states[n], task.b);
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
