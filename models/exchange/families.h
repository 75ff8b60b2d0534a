// defines: exchange::registered_families
#pragma once
#include <vector>

#include "models/exchange/exchange.h"

namespace longhaul::models::exchange {

/// The families of this build that have a public checkpoint layout. Each adds its own in models/<family>/exchange.cpp.
const std::vector<Family>& registered_families();

}  // namespace longhaul::models::exchange
