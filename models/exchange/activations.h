// defines: exchange::activation_named, exchange::activation_name
#pragma once
#include <string>

#include "models/common/options.h"

namespace longhaul::models::exchange {

/// The activation of a feed-forward layer by its public name, the value of `key` in config.json. throws CheckpointError
Activation activation_named(const char* key, const std::string& name);
/// And back. throws CheckpointError for one that has no public name
std::string activation_name(const char* key, Activation activation);

}  // namespace longhaul::models::exchange
