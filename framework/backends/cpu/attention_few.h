// defines: forward_few_task, merge_few
#pragma once
#include "framework/backends/cpu/attention_forward.h"
#include "framework/backends/cpu/attention_rows.h"

namespace longhaul::cpu::LONGHAUL_SIMD {

/// out += sum over the keys of `seen` of p[c] value row c, read in place.
template <typename T>
static void add_values(const float* p, uint64_t seen, const char* head, int64_t row_stride, const TileRows& rows,
                       int64_t dv, float* out) {
  const T* base = reinterpret_cast<const T*>(head);
  int64_t n = 0;
  for (; n + 4 * kLanes <= dv; n += 4 * kLanes) {
    Floats sum[4];
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) sum[v] = load(out + n + v * kLanes);
    for (uint64_t left = seen; left != 0; left &= left - 1) {
      const int c = __builtin_ctzll(left);
      const T* row = base + rows.at(c) * row_stride + n;
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) sum[v] = fma(broadcast(p[c]), load(row + v * kLanes), sum[v]);
    }
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) store(out + n + v * kLanes, sum[v]);
  }
  for (; n < dv; n += kLanes) {
    const int64_t width = dv - n < kLanes ? dv - n : kLanes;
    Floats sum = load(out + n);
    for (uint64_t left = seen; left != 0; left &= left - 1) {
      const int c = __builtin_ctzll(left);
      const T* row = base + rows.at(c) * row_stride + n;
      sum = fma(broadcast(p[c]), width == kLanes ? load(row) : load_first(row, width), sum);
    }
    store(out + n, sum);
  }
}

/// Result of one query row over one chunk of keys: out [padded(dv)], then reference and sum.
LONGHAUL_INLINE float* chunk_result(const AttentionCall& call, int64_t b, int64_t h, int64_t i, int64_t chunk) {
  return call.chunk_sums + (((b * call.heads + h) * call.query_rows + i) * call.chunks + chunk) * (padded(call.dv) + 16);
}

/// Few queries, many keys: keys and values are read once, in place. One chunk of key tiles of one key head.
static void forward_few_task(const AttentionCall& call, const AttentionTask& task, char* scratch) {
  Carver carver(scratch);
  const int64_t dvp = padded(call.dv);
  const float c = call.scale * kLog2E;
  float* query = carver.take<float>(kTile * padded(call.d));
  alignas(64) float scores[kTile];
  alignas(64) float sums[kernels::kAttentionFewRows][kLanes];
  TileFacts query_facts, key_facts;
  for (int64_t h = task.key_head * call.group; h < (task.key_head + 1) * call.group; ++h) {
    const TileRows rows = tile_rows(call.query_info, &call.pattern->query_permutation(), task.b, h, 0, call.query_rows);
    load_facts(query_facts, rows, call.query_info, call.pattern->extent().query_offset, task.b, h,
               call.pattern->terms());
    stage<false>(reinterpret_cast<uint32_t*>(query), call.query, task.b, h, rows, query_facts.valid, call.d);
    for (int r = 0; r < rows.count; ++r) {
      float* out = chunk_result(call, task.b, h, r, task.first);
      std::memset(out, 0, static_cast<size_t>(dvp) * sizeof(float));
      out[dvp] = kMinusInfinity;
      store(sums[r], Floats{});
    }
    for (const TileEntry& entry : call.pattern->row(call.pattern->layouts() > 1 ? static_cast<int>(h) : 0, 0)) {
      if (entry.column / kernels::kAttentionChunk != task.first) continue;
      const bool side = entry.column >= call.key_tiles;
      const TokenInfo& info = side ? call.side_info : call.key_info;
      const TileRows keys = key_tile_rows(call, task.b, h, entry.column);
      load_facts(key_facts, keys, info, side ? call.pattern->side_offset() : call.pattern->extent().key_offset, task.b,
                 h, call.pattern->terms());
      uint64_t masks[kTile];
      if (tile_masks(*call.pattern, entry, query_facts, key_facts, masks) == TileKind::kEmpty) continue;
      const Operand &key = side ? call.side_key : call.key, &value = side ? call.side_value : call.value;
      const TileRule& rule = call.pattern->rule(entry);
      const bool relative = call.relative.present() && !side;
      for (int r = 0; r < rows.count; ++r) {
        if (masks[r] == 0) continue;
        score_keys(query + r * padded(call.d), key, task.b, task.key_head, keys, masks[r], call.d, scores);
        if (relative) add_relative_pairs(call, task.b, h, query_facts, key_facts, r, masks[r], scores);
        if (entry.logm != 0 || rule.self == SelfScore::kLastResort)
          adjust_scores(call, entry, rule, query_facts, key_facts, r, scores);
        float* out = chunk_result(call, task.b, h, r, task.first);
        float factor = 1;
        Floats p[kTileVectors];
        if (softmax_row<true>(scores, masks[r], c, reference_slack(c), out[dvp], sums[r], p, factor)) {
          for (int64_t n = 0; n < dvp; n += kLanes) store(out + n, load(out + n) * factor);
        }
        store_probabilities<false>(p, reinterpret_cast<uint32_t*>(scores));
        uint64_t seen = masks[r];
        if (call.drop_below) {
          seen &= dropout_bits(call,
                               call.dropout_head(task.b, h) + static_cast<uint64_t>(rows.at(r)) * call.dropout_width(),
                               key_facts, side);
        }
        if (value.dtype == DType::kF32) {
          add_values<float>(scores, seen, value.head(task.b, task.key_head), value.row_stride, keys, call.dv, out);
        } else {
          add_values<bfloat16>(scores, seen, value.head(task.b, task.key_head), value.row_stride, keys, call.dv, out);
        }
      }
    }
    for (int r = 0; r < rows.count; ++r) chunk_result(call, task.b, h, r, task.first)[dvp + 1] = sum(load(sums[r]));
  }
}

/// Joins the chunks of the rows of one head in order.
static void merge_few(const AttentionCall& call, int64_t b, int64_t h) {
  const int64_t dvp = padded(call.dv);
  const TileRows rows = tile_rows(call.query_info, &call.pattern->query_permutation(), b, h, 0, call.query_rows);
  const float c = call.scale * kLog2E;
  for (int r = 0; r < rows.count; ++r) {
    const int64_t row = rows.at(r);
    if (row < 0) continue;
    float* out = chunk_result(call, b, h, r, 0);
    float peak = kMinusInfinity, total = 0;
    for (int64_t n = 0; n < call.chunks; ++n) {
      const float top = chunk_result(call, b, h, r, n)[dvp];
      if (top > peak) peak = top;
    }
    for (int64_t n = 0; n < call.chunks; ++n) {
      const float* part = chunk_result(call, b, h, r, n);
      const float weight = part[dvp] == kMinusInfinity ? (part[dvp + 1] != part[dvp + 1] ? part[dvp + 1] : 0)
                                                       : exp2_one((part[dvp] - peak) * c);
      total += part[dvp + 1] * weight;
      for (int64_t e = 0; e < dvp; e += kLanes)
        store(out + e, n == 0 ? load(part + e) * weight : fma(load(part + e), broadcast(weight), load(out + e)));
    }
    const bool empty = total == 0;
    call.lse[(b * call.heads + h) * call.queries + row] =
        empty ? kMinusInfinity
              : static_cast<float>(static_cast<double>(peak) * call.scale + std::log(static_cast<double>(total)));
    write_row(call.out, b, h, row, out, empty ? 0 : call.keep_scale / total, call.dv);
  }
}

}  // namespace longhaul::cpu::LONGHAUL_SIMD
