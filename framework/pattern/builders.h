// defines: pattern::dense, causal, sliding_window, blocks, strided, dilated_window, within_segments, listed_once,
// residue_permutation
#pragma once
#include "framework/pattern/pattern.h"

namespace longhaul::pattern {

/// Every query sees every key.
Pattern dense(const Extent& extent);
/// j <= i.
Pattern causal(const Extent& extent);
/// i - left <= j <= i + right, in tokens; right = 0 is causal. A window of w visible keys with the own one is left = w
/// - 1. Throws ConfigError on negative sizes. Source: fixed-size windows as in Beltagy et al. 2020 (Longformer),
/// section 3.1.
Pattern sliding_window(const Extent& extent, int64_t left, int64_t right);
/// Non-overlapping blocks of `block` positions: i div block == j div block, and j <= i when causal.
Pattern blocks(const Extent& extent, int64_t block, bool causal);
/// (i - j) mod stride == 0 and j <= i when causal (Child et al. 2019, Sparse Transformer, strided head); `extent` is
/// square. Rows are sorted by residue, so that N^2 / stride pairs are visited.
Pattern strided(const Extent& extent, int64_t stride, bool causal);
/// j = i + dilation t for t in [-left, right] (Beltagy et al. 2020, dilated window); `extent` is square.
Pattern dilated_window(const Extent& extent, int64_t dilation, int64_t left, int64_t right);
/// The same tiles, seen only between tokens of one segment (TokenInfo::segment): documents that do not see each other.
Pattern within_segments(const Pattern& pattern);

/// The same tiles, each pair seen only where rounds of chunks list it first (kFirstListing).
Pattern listed_once(const Pattern& pattern);

/// Rows sorted by (row mod stride, row div stride), every class padded with -1 to whole tiles.
Permutation residue_permutation(int64_t rows, int64_t stride);

}  // namespace longhaul::pattern
