// defines: TransfoXlReference
#pragma once
#include "models/parity.h"

namespace longhaul::models {

/// Runs the stored cases of transformers' Transformer-XL: three segments with carried memory, losses by position, gradients of
/// the last segment, and greedy generation.
class TransfoXlReference final : public ReferenceLoader {
 public:
  std::string_view system() const override { return "transfo_xl"; }
  std::map<std::string, Tensor> run(const ReferenceCase& reference) const override;
};

}  // namespace longhaul::models
