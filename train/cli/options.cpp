#include "train/cli/options.h"

namespace longhaul::cli {

std::vector<data::DataEntry> TextOptions::entries() const {
  std::vector<data::DataEntry> made;
  for (const std::string& path : paths) made.push_back({path, part, document, text});
  return made;
}

}  // namespace longhaul::cli
