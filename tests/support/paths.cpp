#include "tests/support/paths.h"

namespace longhaul {

const std::string& source_folder() {
  static const std::string path = LONGHAUL_SOURCE_DIR;
  return path;
}

const std::string& program_path() {
  static const std::string path = LONGHAUL_PROGRAM;
  return path;
}

}  // namespace longhaul
