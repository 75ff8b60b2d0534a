#include "models/exchange/families.h"

#include "models/bigbird/exchange.h"
#include "models/bigbird_pegasus/exchange.h"
#include "models/led/exchange.h"
#include "models/longformer/exchange.h"
#include "models/reformer/exchange.h"
#include "models/transformer_xl/exchange.h"

namespace longhaul::models::exchange {

const std::vector<Family>& registered_families() {
  static const std::vector<Family> families = {longformer_exchange(), bigbird_exchange(), led_exchange(),
                                               bigbird_pegasus_exchange(), transfo_xl_exchange(), reformer_exchange()};
  return families;
}

}  // namespace longhaul::models::exchange
