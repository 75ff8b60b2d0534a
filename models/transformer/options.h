// defines: transformer_family
#pragma once
#include "models/registry.h"

namespace longhaul::models {

/// Dense attention; every key is one of the common body.
FamilyInfo transformer_family();

}  // namespace longhaul::models
