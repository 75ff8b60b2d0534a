// defines: ParityStatus, ParityResult, FoundCase, find_cases, run_case, line_of
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "framework/base/io.h"
#include "models/parity.h"
#include "train/parity/compare.h"

namespace longhaul::train {

enum class ParityStatus { kPass, kFail, kUnsupported };
const char* name_of(ParityStatus status);  // "PASS", "FAIL", "UNSUPPORTED"

struct ParityResult {
  std::string name;    // "axial/decoder_2d"
  std::string system;  // "axial"; empty when meta.json could not be read
  ParityStatus status = ParityStatus::kFail;
  bool optional = false;  // its failure or absence does not count
  Comparison comparison;
  std::string reason;  // of a case that did not pass
};

struct FoundCase {
  std::string name;  // path below the folder that was walked; of that folder itself its own name
  io::Path folder;
};

/// The cases at or below a folder (those that hold case.safetensors and meta.json), sorted by name.
/// throws ConfigError when the folder is missing, IoError when it cannot be read
std::vector<FoundCase> find_cases(const io::Path& folder);

using FindLoader = std::function<const models::ReferenceLoader*(std::string_view system)>;

/// Runs one case and compares. Whatever is wrong with the case becomes a FAIL with its reason. `write`: a folder that
/// receives <name>/computed.safetensors; empty: nothing is written.
ParityResult run_case(const FoundCase& found, Device device, const FindLoader& find, const io::Path& write);

/// One line: name, largest errors, tolerance, PASS, FAIL or UNSUPPORTED with the reason.
std::string line_of(const ParityResult& result);

}  // namespace longhaul::train
