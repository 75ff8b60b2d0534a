// defines: forward_task
#pragma once
#include <cmath>

#include "framework/backends/cpu/attention_tile.h"

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
    const TileRows rows = side ? tile_rows(info, nullptr, b, h, column - call.key_tiles, call.side_keys)
                               : tile_rows(info, &call.pattern->key_permutation(), b, h, column, call.key_rows);
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

/// One query tile of one head on its way over the keys.
struct QueryState {
  TileFacts facts;
  int64_t head;
  const TileEntry *next, *end;
  uint32_t* query;  // [64][words(d)]
  float* out;       // [64][padded(dv)], not yet divided by the sums
  float* peak;      // [64] largest score so far, before the scale
  float* sums;      // [64][kLanes]
  uint64_t dropout_base;
};

/// exp of one row of scores against its running peak; the probabilities replace the scores. Returns true when the peak
/// moved.
template <bool kMasked>
LONGHAUL_INLINE bool softmax_row(float* scores, uint64_t mask, float c, float& peak, float* sums, float& factor) {
  Floats s[kTileVectors];
  Floats top[2];
#pragma GCC unroll 16
  for (int v = 0; v < kTileVectors; ++v) {
    s[v] = load(scores + v * kLanes);
    if constexpr (kMasked) s[v] = select_bits(mask, v, s[v], broadcast(kMinusInfinity));
    top[v % 2] = v < 2 ? s[v] : max(top[v % 2], s[v]);
  }
  const Floats tops = max(top[0], top[1]);
  bool moved = false;
  if (any_greater(tops, broadcast(peak))) [[unlikely]] {
    const float before = peak;
    peak = largest(tops);
    factor = exp2_one((before - peak) * c);
    moved = true;
  }
  const float shift = peak == kMinusInfinity ? 0 : -peak * c;
  Floats total[2];
#pragma GCC unroll 16
  for (int v = 0; v < kTileVectors; ++v) {
    Floats p = exp2_fast(fma(s[v], broadcast(c), broadcast(shift)));
    if constexpr (kMasked) p = keep_bits(mask, v, p);
    total[v % 2] = v < 2 ? p : total[v % 2] + p;
    store(scores + v * kLanes, p);
  }
  Floats sum = load(sums);
  if (moved) sum = sum * factor;
  store(sums, sum + (total[0] + total[1]));
  return moved;
}

/// Probabilities as pairs along the keys.
template <bool kPairs>
LONGHAUL_INLINE void pack_probabilities(const float* from, uint32_t* to) {
#if defined(__AVX512BF16__)
  if constexpr (kPairs) {
    for (int v = 0; v < kTile; v += 32) {
      const __m512bh pair = _mm512_cvtne2ps_pbh(load(from + v + 16), load(from + v));
      std::memcpy(to + v / 2, &pair, sizeof pair);
    }
  }
#else
  (void)from, (void)to;
#endif
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
                         const TileEntry& entry, float* scores, uint32_t* packed) {
  const TileRule& rule = call.pattern->rule(entry);
  uint64_t masks[kTile];
  bool whole = rule.is_full() && key.facts.valid == ~uint64_t{0} && state.facts.valid == ~uint64_t{0};
  if (!whole) {
    const TileKind kind = tile_masks(*call.pattern, entry, state.facts, key.facts, masks);
    if (kind == TileKind::kEmpty) return;
    whole = kind == TileKind::kWhole;
  }
  const bool adjusted = entry.logm != 0 || rule.self == SelfScore::kLastResort;
  const float c = call.scale * kLog2E;
  const int64_t dw = words_of<kPairs>(call.d), dvp = padded(call.dv);
  constexpr int64_t kFold = kPairs ? 2 : 1, kDepth = kTile / kFold;
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
    for (int r = 0; r < rows; ++r) {
      const int row = r0 + r;
      float* at = scores + r * kTile;
      float factor = 1;
      if (adjusted) adjust_scores(call, entry, rule, state.facts, key.facts, row, at);
      const bool moved = whole
                             ? softmax_row<false>(at, 0, c, state.peak[row], state.sums + row * kLanes, factor)
                             : softmax_row<true>(at, masks[row], c, state.peak[row], state.sums + row * kLanes, factor);
      if (moved) {
        float* out = state.out + row * dvp;
        for (int64_t n = 0; n < dvp; n += kLanes) store(out + n, load(out + n) * factor);
      }
      if (call.drop_below) {
        const uint64_t kept = dropout_bits(
            call, state.dropout_base + static_cast<uint64_t>(state.facts.rows.at(row)) * call.dropout_width(),
            key.facts, key.side);
        for (int v = 0; v < kTileVectors; ++v) store(at + v * kLanes, keep_bits(kept, v, load(at + v * kLanes)));
      }
      if constexpr (kPairs) pack_probabilities<kPairs>(at, packed + r * (kTile / 2));
    }
    const uint32_t* p = kPairs ? packed : reinterpret_cast<const uint32_t*>(scores);
    if (whole || key.finite) {
      const int64_t skip = keys.first / kFold;
      multiply_tile<kPairs, true>(p + skip, kDepth, 1, key.values + skip * dvp, dvp, state.out + r0 * dvp, dvp, rows,
                                  dvp, keys.last / kFold - skip);
    } else {
      multiply_seen<kPairs>(p, kDepth, 1, key.values, dvp, state.out + r0 * dvp, dvp, dvp,
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
                 : static_cast<float>(static_cast<double>(state.peak[r]) * call.scale +
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
    state.peak = carver.take<float>(kTile);
    state.sums = carver.take<float>(kTile * kLanes);
    stage<kPairs>(state.query, call.query, task.b, state.head, rows, state.facts.valid, call.d);
    std::memset(state.out, 0, static_cast<size_t>(kTile * dvp) * sizeof(float));
    std::memset(state.sums, 0, static_cast<size_t>(kTile * kLanes) * sizeof(float));
    for (int r = 0; r < kTile; ++r) state.peak[r] = kMinusInfinity;
    const auto entries = call.pattern->row(call.pattern->layouts() > 1 ? static_cast<int>(state.head) : 0, tile);
    state.next = entries.data();
    state.end = entries.data() + entries.size();
    state.dropout_base = call.dropout_head(task.b, state.head);
  }
  for (;;) {
    int32_t column = 0x7fffffff;
    for (int n = 0; n < count; ++n) {
      if (states[n].next != states[n].end && states[n].next->column < column) column = states[n].next->column;
    }
    if (column == 0x7fffffff) break;
    key.load(call, task.b, task.key_head * call.group, column);
    for (int n = 0; n < count; ++n) {
      QueryState& state = states[n];
      if (state.next == state.end || state.next->column != column) continue;
      forward_tile(call, state, key, *state.next++, scores, packed);
    }
  }
  for (int n = 0; n < count; ++n) finish_queries(call, states[n], task.b);
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
