// defines: small_compressive
#pragma once
#include "models/compressive/model.h"
#include "tests/models/recurrent/support.h"

namespace longhaul::models {

/// The small recurrent model with segments of 6, a memory of 6 rows and 4 slots of 3 rows each.
inline ModelSpec small_compressive(const std::function<void(CompressiveOptions&)>& change = {}) {
  return small_recurrent(
      [&](RecurrentOptions& base) {
        auto& o = dynamic_cast<CompressiveOptions&>(base);
        o.compressed = 4, o.rate = 3;
        if (change) change(o);
      },
      "compressive");
}

}  // namespace longhaul::models
