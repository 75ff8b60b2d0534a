// defines: yaml_of
#pragma once
#include <functional>
#include <string>

#include "framework/base/fields.h"

namespace longhaul {

/// What `declare` declares, with every value, as lines of YAML that the configuration reader takes back to equal values.
std::string yaml_of(const std::function<void(FieldVisitor&)>& declare, int indent = 0);

}  // namespace longhaul
