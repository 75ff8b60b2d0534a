#include "framework/base/fields_yaml.h"
#include "train/config/load.h"
#include "train/config/schema.h"

namespace longhaul::config {

std::string resolved_yaml(const Config& config) {
  Config copy = config;  // a visitor may write; this one only reads
  return "# Every key with its value, as longhaul resolved it.\n" + yaml_of([&](FieldVisitor& v) { fields(v, copy); });
}

}  // namespace longhaul::config
