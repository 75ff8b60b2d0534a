// defines: bigbird_pegasus_exchange, bigbird_pegasus_reference
#pragma once
#include <memory>

#include "models/exchange/exchange.h"
#include "models/parity.h"

namespace longhaul::models {

/// Public BigBird-Pegasus folders (model_type "bigbird_pegasus").
exchange::Family bigbird_pegasus_exchange();

/// Stored cases of the public code.
std::shared_ptr<const ReferenceLoader> bigbird_pegasus_reference();

}  // namespace longhaul::models
