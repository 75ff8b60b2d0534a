// defines: lsh_layer_reference
#pragma once
#include <memory>

#include "models/parity.h"

namespace longhaul::models {

/// Runs the cases of single hashed and local attention layers.
std::shared_ptr<const ReferenceLoader> lsh_layer_reference();

}  // namespace longhaul::models
