// defines: manifest_text
#pragma once
#include <string>

#include "data/shards/prepare.h"

namespace longhaul::data {

/// The content of manifest.json.
std::string manifest_text(const Prepared& prepared);

}  // namespace longhaul::data
