// defines: the loaders and trainers behind load_tokenizer and train_tokenizer
#pragma once
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "data/tokenizers/tokenizer.h"

namespace longhaul::data {

std::shared_ptr<const Tokenizer> train_char(const TokenizerOptions& options, const TextSource& text);
std::shared_ptr<const Tokenizer> train_word(const TokenizerOptions& options, const TextSource& text);

std::shared_ptr<const Tokenizer> load_sentencepiece(const std::string& path);
std::shared_ptr<const Tokenizer> train_sentencepiece(const TokenizerOptions& options, const TextSource& text);

/// Byte-level BPE (bpe/): see bpe/bpe.h.
namespace bpe {
std::shared_ptr<const Tokenizer> load_json(const nlohmann::json& json, const std::string& path);
std::shared_ptr<const Tokenizer> load_pair(const std::string& vocabulary_path, const std::string& merges_path);
std::shared_ptr<const Tokenizer> train(const TokenizerOptions& options, const TextSource& text);
}  // namespace bpe

}  // namespace longhaul::data
