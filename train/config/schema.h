// defines: fields(Config), complete, check_config, Finding
#pragma once
#include <string>
#include <vector>

#include "framework/base/fields.h"
#include "train/config/config.h"

namespace longhaul::config {

/// Declares every key of a configuration. The model section declares the keys of `config.model.family`, so a visitor
/// that sets the family sees the keys of the family it has set.
void fields(FieldVisitor& v, Config& config);

/// A conflict between keys: `key` is the one to point at, `what` continues "<key> = <value>: ".
struct Finding {
  std::string key;
  std::string what;
  bool missing = false;     // the key has no value: there is no value to quote
  bool only_given = false;  // say nothing when the key is not given: the finding follows from another
};

/// Replaces values that stand for a rule by what the rule gives (model.head_dim, ...). Every key has been read before;
/// without `says_reversible` memory.reversible was not among them and is what the family asks for.
void complete(Config& config, bool says_reversible);

/// All conflicts between keys of a completed configuration; empty when it can be run.
std::vector<Finding> check_config(const Config& config);

}  // namespace longhaul::config
