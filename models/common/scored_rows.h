// defines: ScoredRows, find_scored_rows
#pragma once
#include "framework/ops/cross_entropy.h"

namespace longhaul::models {

/// The rows of a batch that a loss looks at, where they are few: objectives that hide some tokens score those alone, so what
/// comes after the last exchange between tokens (the last feed-forward, the head) is computed for them and for no others.
/// The loss and its gradients are those of all rows: the others add zeros.
struct ScoredRows {
  Tensor rows;     // [M] i32, rising numbers of rows of [B N]; undefined: all rows are to be computed
  Tensor targets;  // [M] i32, of these rows

  /// `few` with nll [M], and best where it is known, put back in the places of all `count` rows; 0 and -1 in the others.
  ops::CrossEntropyResult in_place(ops::CrossEntropyResult few, int64_t count) const;
};

/// Of targets [B, N] i32, -1 = not scored. No rows are chosen where most are scored and where none is. Without data (meta) each sequence
/// counts with `planned` of them; 0: all.
ScoredRows find_scored_rows(const Tensor& targets, int64_t planned);

}  // namespace longhaul::models
