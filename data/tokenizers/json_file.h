// defines: parse_strict, kLargestVocabulary, kLongestPiece, native_file
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "data/tokenizers/tokenizer.h"

namespace longhaul::data {

inline constexpr int64_t kLargestVocabulary = 1'000'000;                // ids; files that claim more are refused
inline constexpr size_t kLongestPiece = 64 << 10;                       // bytes of one piece
inline constexpr uint64_t kLargestTokenizerFile = uint64_t{512} << 20;  // bytes

/// A tokenizer file's content. throws DataError: missing, unreadable, too large
std::string read_tokenizer_file(const std::string& path);

/// JSON that a hostile file may hold: one object, no key twice in an object, bounded depth and number of keys.
/// throws DataError naming `path`
nlohmann::json parse_strict(const std::string& text, const std::string& path);

/// Our own tokenizer.json: {"format": "longhaul-tokenizer", "version": 1, "kind": ..., fields...}.
std::pair<std::string, std::string> native_file(TokenizerKind kind, const nlohmann::json& fields);
bool is_native(const nlohmann::json& json);

/// Makes the tokenizer that a native file describes; `folder` holds the other files (tokenizer.model).
std::shared_ptr<const Tokenizer> load_native(const nlohmann::json& json, const std::string& path);

}  // namespace longhaul::data
