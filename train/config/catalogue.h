// defines: CatalogueEntry, catalogue, explain_key, reference_page, Suggestion, suggest_key
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/fields.h"

namespace longhaul::config {

/// What the schema says about one key or section.
struct CatalogueEntry {
  std::string key;  // "train.optimizer.learning_rate"; an item of a list of sections: "data.train[].path"
  std::string help;
  bool section = false;
  std::string type;           // "whole number", "one of gelu, relu, swiglu", "list of paths"
  std::string expected;       // "a whole number of tokens, 1 or more"
  std::string default_value;  // as help shows it; empty for a section
  Resume resume = Resume::kFixed;
  std::vector<std::string> families;  // keys of the model section that only some families have; empty: all
  std::string shorthand;              // list of sections: the key a plain value stands for
  std::string same_as;                // section: its keys are those of this one
};

/// Every key and section of the schema, keys of all families included, in the order of the declaration.
const std::vector<CatalogueEntry>& catalogue();

/// The documentation of a key or a section (with its keys) as text. A key may be given by its last part when only one
/// key has it. throws ConfigError for an unknown name, with the nearest one
std::string explain_key(const std::string& key);

/// The documentation of all keys, as Markdown.
std::string reference_page();

/// What an unknown key was probably meant to be.
struct Suggestion {
  std::string key;   // full name; empty: none
  std::string text;  // "; did you mean \"warmup\"?", or where to look
};

/// `known` are the keys of the section `prefix` ("train.schedule.") the unknown `name` stands in.
Suggestion suggest_key(const std::string& prefix, const std::string& name, const std::vector<std::string>& known);

/// JSON Schema (draft 2020-12) of a configuration file, for editors.
std::string json_schema();

}  // namespace longhaul::config
