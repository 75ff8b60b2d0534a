#include "models/exchange/families.h"

namespace longhaul::models::exchange {

const std::vector<Family>& registered_families() {
  static const std::vector<Family> families;
  return families;
}

}  // namespace longhaul::models::exchange
