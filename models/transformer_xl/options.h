// defines: transformer_xl_family
#pragma once
#include "models/registry.h"

namespace longhaul::models {

FamilyInfo transformer_xl_family();

}  // namespace longhaul::models
