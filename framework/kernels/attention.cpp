#include "framework/kernels/attention.h"

#include <algorithm>

namespace longhaul::kernels {
namespace {

int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

double visited_products(const View& query, const AttentionOptions& options) {
  const Pattern& pattern = *options.pattern;
  const int64_t heads = pattern.layouts() == 1 ? query.shape[1] : 1;
  const double tiles = static_cast<double>(query.shape[0] * heads) * static_cast<double>(pattern.entries().size());
  return 2.0 * tiles * kPatternTile * kPatternTile;
}

int64_t relative_width(const RelativeTerm& relative) { return relative.query.present ? relative.query.shape[3] : 0; }

}  // namespace

double work_of(const View& query, const View&, const View& value, const View&, const View&, const View&,
               const AttentionOptions& options) {
  return visited_products(query, options) *
         static_cast<double>(query.shape[3] + value.shape[3] + relative_width(options.relative));
}

double work_of(const View& query, const View&, const View& value, const View&, const View&, const View&, const View&,
               const View&, const View&, const View&, const AttentionGradients&, const View&,
               const AttentionOptions& options) {
  return visited_products(query, options) *
         static_cast<double>(3 * query.shape[3] + 2 * value.shape[3] + 3 * relative_width(options.relative));
}

AttentionShape attention_shape(const View& query, const View& key, const View& value, const Pattern& pattern,
                               const RelativeTerm& relative) {
  AttentionShape shape;
  shape.dtype = query.dtype;
  shape.batch = query.shape[0];
  shape.heads = query.shape[1];
  shape.key_heads = key.shape[1];
  shape.queries = pattern.query_rows();
  shape.keys = pattern.key_rows();
  shape.side_keys = pattern.side_keys();
  shape.head_dim = query.shape[3];
  shape.value_dim = value.shape[3];
  shape.relative_dim = relative_width(relative);
  if (relative.present()) shape.distances = relative.query.present ? relative.key.shape[1] : relative.bias.shape[1];
  return shape;
}

int attention_backward_splits(const AttentionShape& shape) {
  const int64_t tasks = std::max<int64_t>(shape.batch * shape.key_heads, 1);
  if (tasks >= 8) return 1;
  const int64_t key_tiles =
      (shape.keys + kPatternTile - 1) / kPatternTile + (shape.side_keys + kPatternTile - 1) / kPatternTile;
  return static_cast<int>(std::clamp<int64_t>(std::min((16 + tasks - 1) / tasks, key_tiles / 4), 1, 16));
}

AttentionWorkspace attention_workspace(const AttentionShape& shape, bool backward) {
  const int64_t d = round_up(shape.head_dim, 32), dv = round_up(shape.value_dim, 32);
  const int64_t rows = round_up(shape.queries, kPatternTile);
  const int64_t keys = round_up(shape.keys, kPatternTile) + round_up(shape.side_keys, kPatternTile);
  int64_t relative_sums = 0;
  constexpr int64_t kRow = kPatternTile * static_cast<int64_t>(sizeof(float));  // one column of a tile
  const int64_t dr = round_up(shape.relative_dim, 32);
  const int64_t blocks = shape.distances > 0 ? (shape.distances + kPatternTile - 1) / kPatternTile + 3 : 0;
  const int64_t relative_rows = shape.heads * blocks * kPatternTile;
  AttentionWorkspace out;
  if (!backward) {
    // Packed key and value tile; queries, sums and statistics of a group of query tiles; scores.
    out.per_thread = kRow * (2 * d + 2 * dv) + kAttentionGroup * kRow * (d + dv + 1 + 16) + 3 * kRow * kPatternTile;
    // Queries and kept scores of the group, and the scores of one tile with two blocks of distances.
    if (blocks > 0) out.per_thread += kAttentionGroup * kRow * (dr + kPatternTile) + kRow * (2 * kPatternTile + 2);
    // Partial results of the chunks of keys, where few queries meet many keys.
    const int64_t chunks = (keys / kPatternTile + kAttentionChunk - 1) / kAttentionChunk;
    if (shape.queries * shape.heads / std::max<int64_t>(shape.key_heads, 1) <= kAttentionFewRows) {
      out.shared = shape.batch * shape.heads * shape.queries * chunks * (dv + 16) * static_cast<int64_t>(sizeof(float));
    }
  } else {
    const int splits = attention_backward_splits(shape);
    const int64_t sums = rows * d * static_cast<int64_t>(sizeof(float));
    out.per_thread = rows * (d + dv + 2) * 4 + kRow * (4 * d + 4 * dv) + 6 * kRow * kPatternTile;
    if (blocks > 0) {  // queries, scores and waiting gradients by rows; one tile and one block
      out.per_thread += rows * (2 * dr + 2 * kPatternTile + 1) * 4 + kRow * (4 * kPatternTile + 2);
      if (splits == 1) out.per_thread += rows * dr * 4;
      if (splits > 1) relative_sums = shape.batch * shape.heads * splits * rows * dr * 4;
    }
    if (shape.heads > shape.key_heads) out.per_thread += keys * (d + dv) * 4;
    if (splits == 1) {
      out.per_thread += sums;
    } else {
      out.shared = shape.batch * shape.heads * splits * sums;
    }
  }
  out.relative = round_up(out.shared, 4096);
  out.shared = out.relative;
  if (blocks > 0) {
    // Packed tables and whether they are finite; backward, the tables as rows and the sums of every split.
    out.shared += relative_rows * dr * 4 + shape.heads * blocks + 4096;
    if (backward) {
      out.shared += relative_rows * dr * 4 + relative_sums;
      out.shared += shape.batch * attention_backward_splits(shape) * relative_rows * (dr + 1) * 4;
    }
  }
  out.per_thread = round_up(out.per_thread + 4096, 4096);
  out.shared = round_up(out.shared, 4096);
  return out;
}

int64_t attention_workspace_bytes(const AttentionShape& shape, bool backward, int threads) {
  const AttentionWorkspace workspace = attention_workspace(shape, backward);
  return workspace.shared + std::max(threads, 1) * workspace.per_thread;
}

}  // namespace longhaul::kernels
