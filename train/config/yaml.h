// defines: parse_yaml
#pragma once
#include <memory>
#include <string>

#include "train/config/node.h"

namespace longhaul::config {

/// Reads one YAML document into nodes with places. Anchors and aliases are expanded; tags, merge keys, further
/// documents, keys that are no plain text and duplicate keys are problems. `nodes` counts towards Limits::kNodes over
/// all sources. After a problem that ends the reading the result is null and `readable` false.
Node parse_yaml(std::string text, const std::shared_ptr<const Source>& source, size_t& nodes, Problems& problems,
                bool& readable);

}  // namespace longhaul::config
