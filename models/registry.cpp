#include "models/registry.h"

#include "models/bigbird/options.h"
#include "models/bigbird_pegasus/options.h"
#include "models/compressive/options.h"
#include "models/led/options.h"
#include "models/local/options.h"
#include "models/longformer/options.h"
#include "models/reformer/options.h"
#include "models/transformer/options.h"
#include "models/transformer_xl/options.h"

namespace longhaul::models {

const std::vector<FamilyInfo>& families() {
  static const std::vector<FamilyInfo> all = {transformer_family(),     local_family(), longformer_family(),
                                               bigbird_family(),         led_family(),   bigbird_pegasus_family(),
                                               transformer_xl_family(), compressive_family(), reformer_family()};
  return all;
}

const FamilyInfo* find_family(std::string_view name) {
  for (const FamilyInfo& family : families()) {
    if (family.name == name) return &family;
  }
  return nullptr;
}

}  // namespace longhaul::models
