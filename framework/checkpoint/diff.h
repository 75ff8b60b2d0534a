// defines: Difference, differences
#pragma once
#include <string>
#include <vector>

#include "framework/base/io.h"

namespace longhaul::checkpoint {

/// One thing in which two checkpoint or model folders differ.
struct Difference {
  std::string file;
  std::string name;  // tensor, or entry of state.json ("optimizer.step"); empty: the file as a whole
  std::string what;  // "3 of 768 elements differ, first at [0, 5]: 0.25 against 0.5, largest distance 0.25"
};

/// Everything in which `right` differs from `left`, in the order of files and names: tensors bit by bit, state.json by
/// entry, other files as a whole. The manifests themselves (step, cursor, hashes of the data) are not compared.
/// throws CheckpointError when one of the folders is damaged
std::vector<Difference> differences(const io::Path& left, const io::Path& right);

}  // namespace longhaul::checkpoint
