// defines: Operand, AttentionCall, AttentionTask, AttentionCode and one table of it per instruction set
#pragma once
#include <cstdint>

#include "framework/kernels/attention.h"

namespace longhaul::cpu {

inline constexpr int64_t kWidest = 512;  // of the rows of an operand

/// A strided [B, heads, rows, width] operand without ownership; strides in elements.
struct Operand {
  void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t batch_stride = 0, head_stride = 0, row_stride = 0;

  Operand() = default;
  explicit Operand(const View& view)
      : data(view.present ? view.data : nullptr),
        dtype(view.dtype),
        batch_stride(view.present ? view.strides[0] : 0),
        head_stride(view.present ? view.strides[1] : 0),
        row_stride(view.present ? view.strides[2] : 0) {}
  explicit operator bool() const { return data != nullptr; }
  /// Row 0 of one head.
  char* head(int64_t b, int64_t h) const {
    return static_cast<char*>(data) + (b * batch_stride + h * head_stride) * static_cast<int64_t>(size_of(dtype));
  }
};

/// One number of an operand as f32.
inline float operand_element(const Operand& operand, int64_t b, int64_t head, int64_t row, int64_t column) {
  const char* base = operand.head(b, head);
  const int64_t at = row * operand.row_stride + column;
  if (operand.dtype == DType::kF32) return reinterpret_cast<const float*>(base)[at];
  return static_cast<float>(reinterpret_cast<const bfloat16*>(base)[at]);
}

/// The relative term of one call. Distances are cut into blocks of 64 that start where tiles of consecutive positions
/// need them: block n holds origin + 64 n .. origin + 64 n + 63, the largest first, and those outside of the table stand
/// for the nearest entry. The first and the last block lie outside as a whole, so any block beyond them equals them.
struct RelativeCall {
  Operand query, dquery;  // [B, H, Nq, width]
  Operand key;            // [H, distances, width], no batch
  Operand bias;           // [H, distances] as rows of one element
  float* dkey = nullptr;  // [H, distances, width]
  float* dbias = nullptr; // [H, distances]
  int64_t width = 0, distances = 0, first = 0;
  int64_t origin = 0, blocks = 0;
  uint32_t* packed = nullptr;       // [H, blocks][words(width)][64], for scores
  uint32_t* packed_rows = nullptr;  // [H, blocks][64 or 32][padded(width)], for gradients of the query
  uint8_t* finite = nullptr;        // [H, blocks]
  float* query_sums = nullptr;      // [B, H, splits, query_tiles 64, padded(width)] when splits > 1
  float* key_sums = nullptr;        // [B, H, splits, blocks 64, padded(width)]
  float* bias_sums = nullptr;       // [B, H, splits, blocks 64]

  bool present() const { return query || bias; }
  /// The table row of a distance.
  int64_t row(int64_t distance) const {
    const int64_t at = distance - first;
    return at < 0 ? 0 : at >= distances ? distances - 1 : at;
  }
  /// The block that starts at a distance congruent to the origin.
  int64_t block(int64_t start) const {
    const int64_t n = (start - origin) / 64;
    return start < origin ? 0 : n >= blocks ? blocks - 1 : n;
  }
};

/// One call of the primitive, shared by all threads.
struct AttentionCall {
  const Pattern* pattern = nullptr;
  Operand query, key, value, side_key, side_value, out, dout, dquery, dkey, dvalue, dside_key, dside_value;
  float* lse = nullptr;         // [B, H, Nq]
  const float* dlse = nullptr;  // [B, H, Nq]
  TokenInfo query_info, key_info, side_info;
  int64_t batch = 0, heads = 0, key_heads = 0, group = 1;  // group: query heads of one key head
  int64_t queries = 0, keys = 0, side_keys = 0;            // rows of the tensors
  int64_t query_rows = 0, key_rows = 0;                    // rows in tile order
  int64_t query_tiles = 0, key_tiles = 0, side_tiles = 0;
  int64_t d = 0, dv = 0;
  float scale = 1;
  RandomStream stream;
  uint32_t dropout_key0 = 0, dropout_key1 = 0;
  uint32_t drop_below = 0;  // words below it are dropped; 0: no dropout
  float keep_scale = 1;
  uint64_t first_row = 0;
  int splits = 1;                // backward: ranges of key tiles with their own sums of dquery
  float* dquery_sums = nullptr;  // [B, H, splits, query_tiles 64, width] when splits > 1
  float* chunk_sums = nullptr;   // few rows: [B, H, rows in tile order, chunks, dv rounded up + 16]
  int64_t chunks = 1;
  RelativeCall relative;

  /// Dropout words of one query row, and element 0 of the first row of a head.
  uint64_t dropout_width() const { return static_cast<uint64_t>((keys + 3) / 4 * 4 + (side_keys + 3) / 4 * 4); }
  uint64_t dropout_head(int64_t b, int64_t h) const {
    return ((first_row + static_cast<uint64_t>(b)) * static_cast<uint64_t>(heads) + static_cast<uint64_t>(h)) *
           static_cast<uint64_t>(queries) * dropout_width();
  }
};

/// A piece of work of one thread.
struct AttentionTask {
  int64_t b = 0, key_head = 0;
  int64_t first = 0, last = 0;  // forward: (query tile, head of the group) pairs; backward: key tiles; few rows: chunks
  int64_t cost = 0;
  int split = 0;
};

/// The functions of one instruction set. `scratch` is 64-byte aligned and private to the thread.
struct AttentionCode {
  void (*forward)(const AttentionCall&, const AttentionTask&, char* scratch);
  void (*forward_few)(const AttentionCall&, const AttentionTask&, char* scratch);
  void (*merge_few)(const AttentionCall&, int64_t b, int64_t h);
  void (*backward)(const AttentionCall&, const AttentionTask&, char* scratch);
  void (*add_splits)(const AttentionCall&, int64_t b, int64_t h);
  void (*pack_relative)(const AttentionCall&, int64_t h, int64_t block, char* scratch);
  void (*add_relative_splits)(const AttentionCall&, int64_t b, int64_t h);
  void (*add_relative)(const AttentionCall&, int64_t h);
};

const AttentionCode& attention_portable();
const AttentionCode& attention_avx2();
const AttentionCode& attention_avx512();
const AttentionCode& attention_avx512_bf16();  // bf16 operands stay pairs of bf16

/// Those for operands of a dtype on the instruction set in force.
const AttentionCode& attention_code(DType dtype);

}  // namespace longhaul::cpu
