#include "models/parity.h"

#include "models/registry.h"

namespace longhaul::models {

const ReferenceLoader* find_reference_loader(std::string_view system) {
  for (const FamilyInfo& family : families()) {
    for (const auto& loader : family.references) {
      if (loader->system() == system) return loader.get();
    }
  }
  return nullptr;
}

}  // namespace longhaul::models
