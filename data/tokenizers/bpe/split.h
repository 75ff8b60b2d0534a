// defines: next_word, byte_symbol, symbol_text, bytes_of_symbols
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace longhaul::data::bpe {

/// Where the word that begins at text[at] ends, as the pre-splitting pattern of GPT-2 (Radford et al. 2019) cuts it:
///
///   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///
/// Bytes that are no UTF-8 count as neither letter, number nor space. A word ends after kLongestWord bytes at the
/// latest. Without `last` the result is nullopt where text to come could change it.
std::optional<size_t> next_word(std::string_view text, size_t at, bool last);
inline constexpr size_t kLongestWord = 1 << 20;

/// The printable character that stands for a byte in the public files: the byte itself for ! to ~, U+00A1 to U+00AC and
/// U+00AE to U+00FF, the others from U+0100 on, in order.
char32_t byte_symbol(uint8_t byte);
/// UTF-8 of the symbols of some bytes, and back; nullopt when a character stands for no byte.
std::string symbol_text(std::string_view bytes);
std::optional<std::string> bytes_of_symbols(std::string_view text);

}  // namespace longhaul::data::bpe
