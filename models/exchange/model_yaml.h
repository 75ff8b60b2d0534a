// defines: exchange::model_yaml
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/registry.h"

namespace longhaul::models::exchange {

/// The text of config.yaml of an imported model: the objective and length it was made for, the classes it tells apart, and
/// every key of the family.
std::string model_yaml(const std::string& family, const FamilyOptions& options, const std::string& objective, int64_t sequence_length, const std::vector<std::string>& labels = {});

}  // namespace longhaul::models::exchange
