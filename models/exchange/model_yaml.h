// defines: exchange::ImportedData, exchange::model_yaml, exchange::with_tokenizer
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/registry.h"

namespace longhaul::models::exchange {

/// What an imported model was made for, as keys of `data`.
struct ImportedData {
  std::string objective;
  int64_t sequence_length = 0;
  int64_t target_length = 0;             // 0: no target side
  std::vector<std::string> labels = {};  // of a classifier
};

/// The text of config.yaml of an imported model: what it was made for, and every key of the family.
std::string model_yaml(const std::string& family, const FamilyOptions& options, const ImportedData& data);

/// The same text with the tokenizer whose files stand beside it, so that a configuration that extends it reads text with them; unchanged where none of `files` is a tokenizer that is read here.
std::string with_tokenizer(const std::string& yaml, const std::vector<std::string>& files);

}  // namespace longhaul::models::exchange
