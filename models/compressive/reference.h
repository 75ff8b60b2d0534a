// defines: CompressiveReference
#pragma once
#include "models/parity.h"

namespace longhaul::models {

/// Runs the stored cases of the Compressive Transformer: streams read in segments with both memories, the losses of compression
/// and every gradient; compression alone; auto-encoding alone.
class CompressiveReference final : public ReferenceLoader {
 public:
  std::string_view system() const override { return "compressive"; }
  std::map<std::string, Tensor> run(const ReferenceCase& reference) const override;
};

}  // namespace longhaul::models
