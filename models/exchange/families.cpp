#include "models/exchange/families.h"

#include "models/bigbird/exchange.h"
#include "models/longformer/exchange.h"

namespace longhaul::models::exchange {

const std::vector<Family>& registered_families() {
  static const std::vector<Family> families = {longformer_exchange(), bigbird_exchange()};
  return families;
}

}  // namespace longhaul::models::exchange
