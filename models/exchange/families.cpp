#include "models/exchange/families.h"

#include "models/bigbird/exchange.h"
#include "models/bigbird_pegasus/exchange.h"
#include "models/led/exchange.h"
#include "models/longformer/exchange.h"

namespace longhaul::models::exchange {

const std::vector<Family>& registered_families() {
  static const std::vector<Family> families = {longformer_exchange(), bigbird_exchange(), led_exchange(), bigbird_pegasus_exchange()};
  return families;
}

}  // namespace longhaul::models::exchange
