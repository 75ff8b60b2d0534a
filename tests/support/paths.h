// defines: source_folder, program_path
#pragma once
#include <string>

namespace longhaul {

/// The repository's root.
const std::string& source_folder();
/// The built program, build/longhaul.
const std::string& program_path();

}  // namespace longhaul
