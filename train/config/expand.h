// defines: expand_variables
#pragma once
#include "train/config/node.h"

namespace longhaul::config {

/// Replaces ${NAME} and ${NAME:-default} in every value (not in keys) by the environment's; an unset or empty variable
/// takes the default, an unset one without a default is a problem. `$${` stands for `${` itself.
void expand_variables(Node& node, Problems& problems);

}  // namespace longhaul::config
