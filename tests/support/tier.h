// defines: nightly
#pragma once
#include <cstdlib>
#include <string_view>

namespace longhaul::testing {

/// True in the long tier (tools/nightly sets LONGHAUL_TIER=nightly): loops of kills and cuts then run in full.
inline bool nightly() {
  const char* tier = std::getenv("LONGHAUL_TIER");
  return tier && std::string_view(tier) == "nightly";
}

}  // namespace longhaul::testing
