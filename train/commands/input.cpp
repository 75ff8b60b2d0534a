#include "train/commands/input.h"

#include <cstdio>

#include "framework/base/error.h"
#include "framework/base/io.h"

namespace longhaul::cli {

std::string read_input(const std::string& path) {
  if (path != "-") {
    check<DataError>(io::exists(path), "[input] {} does not exist", path);
    try {
      return io::read_file(path);
    } catch (const IoError& error) {
      throw DataError(error.what());
    }
  }
  std::string text;
  char block[1 << 16];
  while (const size_t got = std::fread(block, 1, sizeof block, stdin)) text.append(block, got);
  check<DataError>(!std::ferror(stdin), "[input] standard input cannot be read");
  return text;
}

}  // namespace longhaul::cli
