// defines: reformer_references
#pragma once
#include <memory>
#include <vector>

#include "models/parity.h"

namespace longhaul::models {

/// Runs the stored cases of public models ("reformer") and of single attention layers ("lsh").
std::vector<std::shared_ptr<const ReferenceLoader>> reformer_references();

}  // namespace longhaul::models
