// defines: optim::Parameter, optim::matches, optim::matches_any
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "framework/autograd/variable.h"

namespace longhaul::optim {

/// A tensor that is trained, under the name it has in the model.
struct Parameter {
  std::string name;  // "layers.0.attention.qkv.weight"
  Variable variable;
};

/// Whether a whole name fits a pattern: `*` stands for any text, `?` for one character, everything else for itself.
bool matches(std::string_view name, std::string_view pattern);
bool matches_any(std::string_view name, const std::vector<std::string>& patterns);

}  // namespace longhaul::optim
