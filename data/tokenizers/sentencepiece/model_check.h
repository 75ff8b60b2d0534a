// defines: SentencePieceFacts, check_sentencepiece_model
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace longhaul::data {

/// What a SentencePiece model file says, as far as this program needs it.
struct SentencePieceFacts {
  enum class Type : uint8_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };
  std::vector<std::string> pieces;
  std::vector<Type> types;
  std::array<int32_t, 256> byte_ids{};  // of the pieces <0x00> to <0xFF>; -1: none
  bool byte_fallback = false;
  bool normalizes = false;  // has a character map
  bool dummy_prefix = true;
  bool removes_blanks = true;
  bool escapes_blanks = true;
  bool blank_as_suffix = false;
};

/// Reads a model's wire format and checks all that the library takes on trust: sizes, lengths, ids, types, scores, and
/// the double array of its character map, where a crafted file would make the library read outside its memory.
/// throws DataError naming `path`
SentencePieceFacts check_sentencepiece_model(std::string_view bytes, const std::string& path);

}  // namespace longhaul::data
