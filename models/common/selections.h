// defines: Selections
#pragma once
#include <memory>
#include <vector>

#include "framework/tensor/tensor.h"

namespace longhaul::models {

/// Who sees whom in the layers whose attention depends on content, as one pass over a batch has chosen it. A layer that is
/// computed again (a rebuilt or recomputed one, whose inputs may differ in the last bits) repeats its choice; a later pass
/// that is given the choices of an earlier one is the same function of its inputs but for them.
struct Selections {
  std::vector<Tensor> buckets;    // by layer: [B, H, R, N] i32 of hashing; undefined until chosen
  std::vector<Tensor> rotations;  // by layer: [H, d, R, columns] to hash with instead of drawn ones; undefined: drawn

  /// The entry of a layer in one of the lists above.
  static Tensor& of(std::vector<Tensor>& list, int layer) {
    if (list.size() <= static_cast<size_t>(layer)) list.resize(static_cast<size_t>(layer) + 1);
    return list[static_cast<size_t>(layer)];
  }
};

}  // namespace longhaul::models
