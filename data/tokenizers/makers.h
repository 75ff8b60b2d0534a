// defines: the loaders and trainers behind load_tokenizer and train_tokenizer
#pragma once
#include <memory>
#include <string>

#include "data/tokenizers/tokenizer.h"

namespace longhaul::data {

std::shared_ptr<const Tokenizer> train_char(const TokenizerOptions& options, const TextSource& text);
std::shared_ptr<const Tokenizer> train_word(const TokenizerOptions& options, const TextSource& text);

}  // namespace longhaul::data
