// defines: backward_task, add_splits
#pragma once
#include "framework/backends/cpu/attention_forward.h"
#include "framework/backends/cpu/attention_relative_backward.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

/// All query tiles of one head, packed once: as rows (first operand of scores) and as rows of pairs (second operand of
/// sums).
template <bool kPairs>
struct QueryPanels {
  uint32_t *query, *query_pairs, *dout, *dout_pairs;  // [tiles][64][words]; pairs are the rows themselves in f32
  float* sums;                                        // [tiles][64][padded(d)] of dquery
  float *lse, *delta;                                 // [tiles][64] in powers of two; delta - dlse
  uint8_t* finite;                                    // [tiles]
  int64_t dw, dvw, dp, dvp;

  void load(const AttentionCall& call, int64_t b, int64_t h) {
    for (int64_t t = 0; t < call.query_tiles; ++t) {
      const TileRows rows = tile_rows(call.query_info, &call.pattern->query_permutation(), b, h, t, call.query_rows);
      const uint8_t* valid = call.query_info.valid ? call.query_info.valid.at(b, h) : nullptr;
      uint64_t exist = 0;
      for (int r = 0; r < rows.count; ++r)
        exist |= static_cast<uint64_t>(rows.at(r) >= 0 && (!valid || valid[rows.at(r)])) << r;
      bool odd = stage<kPairs>(query + t * kTile * dw, call.query, b, h, rows, exist, call.d);
      if (call.dout) {
        odd |= stage<kPairs>(dout + t * kTile * dvw, call.dout, b, h, rows, exist, call.dv);
      } else {
        std::memset(dout + t * kTile * dvw, 0, static_cast<size_t>(kTile * dvw) * 4);
      }
      finite[t] = !odd;
      if constexpr (kPairs) {
        interleave_rows(query + t * kTile * dw, dw, query_pairs + t * kTile * dw);
        interleave_rows(dout + t * kTile * dvw, dvw, dout_pairs + t * kTile * dvw);
      }
      for (int r = 0; r < kTile; ++r) {
        float *l = lse + t * kTile + r, *e = delta + t * kTile + r;
        *l = -kMinusInfinity, *e = 0;
        if (!(exist >> r & 1)) continue;
        const int64_t row = rows.at(r), at = (b * call.heads + h) * call.queries + row;
        if (call.lse[at] == kMinusInfinity) continue;
        *l = call.lse[at] * kLog2E;
        if (call.dout) *e = dot(call.dout, call.out, b, h, row, call.dv);
        if (call.dlse) *e -= call.dlse[at];
      }
    }
    std::memset(sums, 0, static_cast<size_t>(call.query_tiles * kTile * dp) * sizeof(float));
  }

  template <typename A, typename B>
  static float dot_as(const A* a, const B* b, int64_t n) {
    Floats total = {};
    int64_t c = 0;
    for (; c + kLanes <= n; c += kLanes)
      total = fma(cpu::LONGHAUL_SIMD::load(a + c), cpu::LONGHAUL_SIMD::load(b + c), total);
    float out = cpu::LONGHAUL_SIMD::sum(total);
    for (; c < n; ++c) out += static_cast<float>(a[c]) * static_cast<float>(b[c]);
    return out;
  }
  static float dot(const Operand& x, const Operand& y, int64_t b, int64_t h, int64_t row, int64_t n) {
    const char *a = x.head(b, h) + row * x.row_stride * static_cast<int64_t>(size_of(x.dtype)),
               *c = y.head(b, h) + row * y.row_stride * static_cast<int64_t>(size_of(y.dtype));
    const auto *af = reinterpret_cast<const float*>(a), *cf = reinterpret_cast<const float*>(c);
    const auto *ah = reinterpret_cast<const bfloat16*>(a), *ch = reinterpret_cast<const bfloat16*>(c);
    if (x.dtype == DType::kF32) return y.dtype == DType::kF32 ? dot_as(af, cf, n) : dot_as(af, ch, n);
    return y.dtype == DType::kF32 ? dot_as(ah, cf, n) : dot_as(ah, ch, n);
  }
};

/// A key tile packed for the backward, and the sums of its gradients.
struct KeyPanels {
  TileFacts facts;
  bool side, finite;
  uint32_t *staged, *keys, *key_rows, *values;  // scratch; [words(d)][64]; [64 or 32][padded(d)]; [words(dv)][64]
  float *dkey, *dvalue;                         // [64][padded(d)], [64][padded(dv)]

  template <bool kPairs>
  void load(const AttentionCall& call, int64_t b, int64_t h, int64_t column) {
    side = column >= call.key_tiles;
    const TokenInfo& info = side ? call.side_info : call.key_info;
    const TileRows rows = key_tile_rows(call, b, h, column);
    load_facts(facts, rows, info, side ? call.pattern->side_offset() : call.pattern->extent().key_offset, b, h,
               call.pattern->terms());
    const int64_t head = h / call.group, dw = words_of<kPairs>(call.d), dvw = words_of<kPairs>(call.dv);
    bool odd = stage<kPairs>(staged, side ? call.side_value : call.value, b, head, rows, facts.valid, call.dv);
    transpose_tile(staged, dvw, values);
    uint32_t* plain = kPairs ? staged : key_rows;
    odd |= stage<kPairs>(plain, side ? call.side_key : call.key, b, head, rows, facts.valid, call.d);
    transpose_tile(plain, dw, keys);
    if constexpr (kPairs) interleave_rows(plain, dw, key_rows);
    finite = !odd;
  }

  void write(const AttentionCall& call, int64_t b, int64_t head) const {
    const Operand &to_key = side ? call.dside_key : call.dkey, &to_value = side ? call.dside_value : call.dvalue;
    for (int r = 0; r < facts.rows.count; ++r) {
      const int64_t row = facts.rows.at(r);
      if (row < 0) continue;
      if (to_key) write_row(to_key, b, head, row, dkey + r * padded(call.d), call.scale, call.d);
      if (to_value) write_row(to_value, b, head, row, dvalue + r * padded(call.dv), call.keep_scale, call.dv);
    }
  }
};

/// Scratch of one tile: probabilities and dS, in f32 and, for pairs, as operands.
struct GradientTile {
  float *p, *ds;                           // [64][64]
  uint32_t *p_pairs, *ds_rows, *ds_pairs;  // pairs along queries [32][64]; along keys [64][32]; along queries [32][64]
};

/// What turns one row of scores and dP into probabilities and dS.
struct GradientRow {
  uint64_t mask, kept, fixed;  // seen; not dropped; seen without a gradient of their own
  float lse, delta;
};

/// kSide vectors from `first` on: probabilities p (with dropout applied) and dS.
template <bool kMasked>
LONGHAUL_INLINE void gradient_part(const AttentionCall& call, const GradientRow& row, const float* scores,
                                   const float* gradients, int first, Floats* p, Floats* ds) {
  const Floats c = broadcast(call.scale * kLog2E), shift = broadcast(-row.lse);
#pragma GCC unroll 4
  for (int i = 0; i < kSide; ++i) p[i] = fma(load(scores + (first + i) * kLanes), c, shift);
  exp2_fast<kSide>(p);
#pragma GCC unroll 4
  for (int i = 0; i < kSide; ++i) {
    if constexpr (kMasked) p[i] = keep_bits(row.mask, first + i, p[i]);
    Floats g = load(gradients + (first + i) * kLanes);
    if (call.drop_below) g = keep_bits(row.kept, first + i, g * call.keep_scale);
    ds[i] = p[i] * (g - row.delta);
    if constexpr (kMasked) ds[i] = keep_bits(row.mask & ~row.fixed, first + i, ds[i]);
    if (call.drop_below) p[i] = keep_bits(row.kept, first + i, p[i]);
  }
}

/// Rows r and r + 1 of a tile: scores and dP become probabilities and dS, as operands of the sums.
template <bool kPairs, bool kMasked>
LONGHAUL_INLINE void gradient_rows(const AttentionCall& call, const GradientRow* rows, int r,
                                   const GradientTile& work) {
  float *scores = work.p + r * kTile, *gradients = work.ds + r * kTile;
#if defined(__AVX512BF16__)
  if constexpr (kPairs) {
    static_assert(kSide == kTileVectors);
    Floats p[2][kSide], ds[2][kSide];
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i)
      gradient_part<kMasked>(call, rows[i], scores + i * kTile, gradients + i * kTile, 0, p[i], ds[i]);
    pack_row_pair(p[0], p[1], nullptr, work.p_pairs + r / 2 * kTile);
    pack_row_pair(ds[0], ds[1], work.ds_rows + r * (kTile / 2), work.ds_pairs + r / 2 * kTile);
    for (int v = 0; call.relative.present() && v < 2 * kSide; ++v) store(gradients + v * kLanes, ds[v / kSide][v % kSide]);
    return;
  }
#endif
  for (int i = 0; i < 2; ++i, scores += kTile, gradients += kTile) {
#pragma GCC unroll 4
    for (int first = 0; first < kTileVectors; first += kSide) {
      Floats p[kSide], ds[kSide];
      gradient_part<kMasked>(call, rows[i], scores, gradients, first, p, ds);
#pragma GCC unroll 4
      for (int v = 0; v < kSide; ++v) {
        store(scores + (first + v) * kLanes, p[v]);
        store(gradients + (first + v) * kLanes, ds[v]);
      }
    }
  }
}

template <bool kPairs>
static void backward_tile(const AttentionCall& call, const QueryPanels<kPairs>& panels, const KeyPanels& key,
                          const TileEntry& entry, int64_t b, int64_t h, int64_t tile, const GradientTile& work,
                          RelativePanels<kPairs>& bands) {
  const TileRule& rule = call.pattern->rule(entry);
  const TileRows rows = tile_rows(call.query_info, &call.pattern->query_permutation(), b, h, tile, call.query_rows);
  const bool adjusted = entry.logm != 0 || rule.self == SelfScore::kLastResort;
  uint64_t masks[kTile];
  TileFacts query;
  bool whole =
      rule.is_full() && key.facts.valid == ~uint64_t{0} && rows.count == kTile && !rows.rows && !call.query_info.valid;
  const bool relative = call.relative.present() && !key.side;
  if (!whole || adjusted || relative)
    load_facts(query, rows, call.query_info, call.pattern->extent().query_offset, b, h, call.pattern->terms());
  if (!whole || adjusted) {
    const TileKind kind = tile_masks(*call.pattern, entry, query, key.facts, masks);
    if (kind == TileKind::kEmpty) return;
    whole = kind == TileKind::kWhole && !adjusted;
  }
  RelativeTile shift;
  uint64_t done = 0;  // rows with dS
  if (relative) {
    shift = relative_tile(call, query, key.facts, whole ? nullptr : masks);
    shift.blocks = shift.blocks && bands.sound(call, h, tile, shift);
    relative_scores<kPairs>(call, h, shift, bands.query + tile * kTile * words_of<kPairs>(call.relative.width), kTile,
                            bands.kept + tile * kTile * kTile, bands.kept_block[tile], bands.scratch);
  }
  const int64_t dw = panels.dw, dvw = panels.dvw, dp = panels.dp, dvp = panels.dvp;
  const uint32_t *q = panels.query + tile * kTile * dw, *go = panels.dout + tile * kTile * dvw;
  const uint32_t* q_sum = kPairs ? panels.query_pairs + tile * kTile * dw : q;
  const uint32_t* go_sum = kPairs ? panels.dout_pairs + tile * kTile * dvw : go;
  const float *lse = panels.lse + tile * kTile, *delta = panels.delta + tile * kTile;
  const uint32_t* p = kPairs ? work.p_pairs : reinterpret_cast<const uint32_t*>(work.p);
  const uint32_t* ds = kPairs ? work.ds_pairs : reinterpret_cast<const uint32_t*>(work.ds);
  const uint32_t* ds_rows = kPairs ? work.ds_rows : reinterpret_cast<const uint32_t*>(work.ds);
  float* dq = panels.sums + tile * kTile * dp;
  constexpr int kFold = kPairs ? 2 : 1;
  constexpr int64_t kStep = kTile / kFold;  // words in a row of ds_rows
  const bool finite = whole || (key.finite && panels.finite[tile]);
  for (int r0 = 0; r0 < kTile; r0 += phase_rows(whole)) {
    const int count = phase_rows(whole);
    KeyRange keys;
    if (!whole) {
      const uint64_t seen = seen_by(masks + r0, count);
      if (seen == 0) continue;
      keys = KeyRange(seen);
    }
    const int64_t columns = keys.last_column - keys.first_column;
    multiply_tile<kPairs, false>(q + r0 * dw, dw, 1, key.keys + keys.first_column, kTile,
                                 work.p + r0 * kTile + keys.first_column, kTile, count, columns, dw);
    multiply_tile<kPairs, false>(go + r0 * dvw, dvw, 1, key.values + keys.first_column, kTile,
                                 work.ds + r0 * kTile + keys.first_column, kTile, count, columns, dvw);
    for (int r = r0; r < r0 + count; r += 2) {
      GradientRow two[2];
      for (int i = 0; i < 2; ++i) {
        const int row = r + i;
        two[i] = {whole ? ~uint64_t{0} : masks[row], 0, 0, lse[row], delta[row]};
        if (call.drop_below && row < rows.count && rows.at(row) >= 0) {
          two[i].kept = dropout_bits(
              call, call.dropout_head(b, h) + static_cast<uint64_t>(rows.at(row)) * call.dropout_width(), key.facts,
              key.side);
        }
        if (relative) {
          const uint64_t seen = row < rows.count ? two[i].mask : 0;
          add_relative_row(call, h, shift, bands.scratch, query, key.facts, row, seen, work.p + row * kTile);
        }
        if (adjusted) {
          adjust_scores(call, entry, rule, query, key.facts, row, work.p + row * kTile);
          if (rule.self == SelfScore::kLastResort) two[i].fixed = own_bits(query, key.facts, row);
        }
      }
      if (whole) {
        gradient_rows<kPairs, false>(call, two, r, work);
      } else {
        gradient_rows<kPairs, true>(call, two, r, work);
      }
    }
    done |= (~uint64_t{0} >> (kTile - count)) << r0;
    if (!finite) continue;
    const int64_t skip = r0 / kFold, depth = count / kFold, key_skip = keys.first / kFold;
    multiply_tile<kPairs, true>(p + skip * kTile + keys.first, 1, kTile, go_sum + skip * dvp, dvp,
                                key.dvalue + keys.first * dvp, dvp, keys.last - keys.first, dvp, depth);
    multiply_tile<kPairs, true>(ds + skip * kTile + keys.first, 1, kTile, q_sum + skip * dp, dp,
                                key.dkey + keys.first * dp, dp, keys.last - keys.first, dp, depth);
    multiply_tile<kPairs, true>(ds_rows + r0 * kStep + key_skip, kStep, 1, key.key_rows + key_skip * dp, dp,
                                dq + r0 * dp, dp, count, dp, keys.last / kFold - key_skip);
  }
  if (relative && shift.blocks) {
    bands.add_tile(call, h, tile, shift, work.ds, done);
  } else if (relative) {
    bands.add_pairs(call, h, tile, query, key.facts, whole ? nullptr : masks, work.ds);
  }
  if (!finite) {
    const auto seen_pair = [&](int k, int r) { return (masks[r] >> k & 1) != 0; };
    multiply_seen<kPairs>(p, 1, kTile, go_sum, dvp, key.dvalue, dvp, dvp, seen_pair);
    multiply_seen<kPairs>(ds, 1, kTile, q_sum, dp, key.dkey, dp, dp, seen_pair);
    multiply_seen<kPairs>(ds_rows, kStep, 1, key.key_rows, dp, dq, dp, dp,
                          [&](int r, int k) { return seen_pair(k, r); });
  }
}

/// The key tiles first .. last - 1 of one key head against all queries of its heads: five products for each tile.
template <bool kPairs>
static void backward_task(const AttentionCall& call, const AttentionTask& task, char* scratch) {
  Carver carver(scratch);
  QueryPanels<kPairs> panels;
  panels.dw = words_of<kPairs>(call.d), panels.dvw = words_of<kPairs>(call.dv), panels.dp = padded(call.d),
  panels.dvp = padded(call.dv);
  const int64_t rows = call.query_tiles * kTile, dw = panels.dw, dvw = panels.dvw, dp = panels.dp, dvp = panels.dvp;
  panels.query = carver.take<uint32_t>(rows * dw);
  panels.dout = carver.take<uint32_t>(rows * dvw);
  panels.query_pairs = kPairs ? carver.take<uint32_t>(rows * dw) : panels.query;
  panels.dout_pairs = kPairs ? carver.take<uint32_t>(rows * dvw) : panels.dout;
  panels.lse = carver.take<float>(rows);
  panels.delta = carver.take<float>(rows);
  panels.finite = carver.take<uint8_t>(call.query_tiles);
  KeyPanels key;
  key.staged = carver.take<uint32_t>(kTile * (dw > dvw ? dw : dvw));
  key.keys = carver.take<uint32_t>(kTile * dw);
  key.key_rows = carver.take<uint32_t>(kTile * dp);
  key.values = carver.take<uint32_t>(kTile * dvw);
  GradientTile work;
  work.p = carver.take<float>(kTile * kTile);
  work.ds = carver.take<float>(kTile * kTile);
  work.p_pairs = carver.take<uint32_t>(kTile * kTile / 2);
  work.ds_rows = carver.take<uint32_t>(kTile * kTile / 2);
  work.ds_pairs = carver.take<uint32_t>(kTile * kTile / 2);
  RelativePanels<kPairs> bands;
  if (call.relative.present()) bands.take(call, carver);
  // With several query heads the sums of all key tiles stay until the last head.
  const int64_t kept_tiles = call.group > 1 ? task.last - task.first : 1;
  float* key_sums = carver.take<float>(kept_tiles * kTile * (dp + dvp));
  float* own_sums = call.splits == 1 ? carver.take<float>(rows * dp) : nullptr;
  for (int64_t g = 0; g < call.group; ++g) {
    const int64_t h = task.key_head * call.group + g;
    const int layout = call.pattern->layouts() > 1 ? static_cast<int>(h) : 0;
    panels.sums =
        own_sums ? own_sums : call.dquery_sums + ((task.b * call.heads + h) * call.splits + task.split) * rows * dp;
    panels.load(call, task.b, h);
    if (call.relative.present()) bands.begin(call, task.b, h, task.split);
    for (int64_t column = task.first; column < task.last; ++column) {
      float* sums = key_sums + (call.group > 1 ? column - task.first : 0) * kTile * (dp + dvp);
      key.dkey = sums, key.dvalue = sums + kTile * dp;
      if (g == 0) std::memset(sums, 0, static_cast<size_t>(kTile * (dp + dvp)) * sizeof(float));
      key.load<kPairs>(call, task.b, h, column);
      for (const TransposedEntry& at : call.pattern->column(layout, column)) {
        backward_tile<kPairs>(call, panels, key, call.pattern->entries()[at.entry], task.b, h, at.query_tile, work,
                              bands);
      }
      if (g + 1 == call.group) key.write(call, task.b, task.key_head);
    }
    if (call.relative.present()) bands.end(call, task.b, h);
    if (!own_sums || !call.dquery) continue;
    for (int64_t t = 0; t < call.query_tiles; ++t) {
      const TileRows at = tile_rows(call.query_info, &call.pattern->query_permutation(), task.b, h, t, call.query_rows);
      for (int r = 0; r < at.count; ++r) {
        if (at.at(r) >= 0)
          write_row(call.dquery, task.b, h, at.at(r), own_sums + (t * kTile + r) * dp, call.scale, call.d);
      }
    }
  }
}

/// Adds the splits of dquery of one head in order and writes them.
static inline void add_splits(const AttentionCall& call, int64_t b, int64_t h) {
  const int64_t dp = padded(call.d), rows = call.query_tiles * kTile;
  float* first = call.dquery_sums + (b * call.heads + h) * call.splits * rows * dp;
  for (int64_t t = 0; t < call.query_tiles; ++t) {
    const TileRows at = tile_rows(call.query_info, &call.pattern->query_permutation(), b, h, t, call.query_rows);
    for (int r = 0; r < at.count; ++r) {
      if (at.at(r) < 0) continue;
      float* total = first + (t * kTile + r) * dp;
      for (int s = 1; s < call.splits; ++s) {
        for (int64_t c = 0; c < dp; c += kLanes) store(total + c, load(total + c) + load(total + s * rows * dp + c));
      }
      write_row(call.dquery, b, h, at.at(r), total, call.scale, call.d);
    }
  }
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
