// defines: led_exchange, led_reference
#pragma once
#include <memory>

#include "models/exchange/exchange.h"
#include "models/parity.h"

namespace longhaul::models {

/// Public LED folders (model_type "led").
exchange::Family led_exchange();

/// Stored cases of the public code.
std::shared_ptr<const ReferenceLoader> led_reference();

}  // namespace longhaul::models
