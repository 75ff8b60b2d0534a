#include "models/exchange/families.h"

#include "models/transformer_xl/exchange.h"

namespace longhaul::models::exchange {

const std::vector<Family>& registered_families() {
  static const std::vector<Family> families = {transfo_xl_exchange()};
  return families;
}

}  // namespace longhaul::models::exchange
