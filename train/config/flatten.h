// defines: FlatValue, flatten
#pragma once
#include <string>
#include <vector>

#include "framework/base/fields.h"
#include "train/config/config.h"

namespace longhaul::config {

/// One key of a configuration with its value.
struct FlatValue {
  std::string key;    // "train.optimizer.betas", "data.train[0].path"
  std::string value;  // as text; a list as "[0.9, 0.95]"
  Resume resume;      // never kInherit
  bool path = false;
};

/// Every key with its value, in the order of the declaration.
std::vector<FlatValue> flatten(const Config& config);

}  // namespace longhaul::config
