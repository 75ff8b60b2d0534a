// defines: read_input
#pragma once
#include <string>

namespace longhaul::cli {

/// The whole of a file that the command line names; "-" is standard input. throws DataError
std::string read_input(const std::string& path);

}  // namespace longhaul::cli
