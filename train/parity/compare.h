// defines: Comparison, compare_case
#pragma once
#include <map>
#include <string>

#include "framework/tensor/tensor.h"

namespace longhaul::train {

/// How far computed tensors are from the stored ones.
struct Comparison {
  bool passed = false;
  double out_error = 0;  // largest error of the outputs; definitions: as a share of max(1, largest stored value)
  double grad_error = 0;
  double out_tolerance = 0;  // that the worst output and gradient were held to
  double grad_tolerance = 0;
  std::string reason;  // of a failure: the tensor and what is wrong with it
};

using TensorMap = std::map<std::string, Tensor>;

/// Compares every `out.*` and `grad.*` of `stored` with `computed`, and those `aux.*` that were computed. `meta` is the
/// text of meta.json, `f64` says that a definition was computed in f64.
///
/// Definitions and packages: |got - want| <= tolerance * max(1, max |want|); in f32 definitions have their own
/// tolerance. Models: absolute tolerances by kind of tensor, gradients also relative to their own largest entry; rows
/// of padding tokens (attention_mask 0) are left out; scores beyond 1e5 are compared relatively. Whole numbers must be
/// equal. A missing tensor, another shape and a number that is not finite fail.
/// throws DataError when meta.json is malformed
Comparison compare_case(const TensorMap& stored, const TensorMap& computed, const std::string& meta, bool f64);

}  // namespace longhaul::train
