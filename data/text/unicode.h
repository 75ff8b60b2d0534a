// defines: is_letter, is_number, is_space, to_lower, TextCounter
#pragma once
#include <cstdint>
#include <string_view>

#include "data/dataset.h"

namespace longhaul::data {

/// Unicode general category L* and N* (utf8proc), and property White_Space.
bool is_letter(char32_t code);
bool is_number(char32_t code);
bool is_space(char32_t code);
/// Lower case, by the simple mapping (utf8proc).
char32_t to_lower(char32_t code);

/// Counts a text that comes in pieces which end between characters.
class TextCounter {
 public:
  explicit TextCounter(WordCount words) : lines_(words == WordCount::kWordsAndLines) {}
  void write(std::string_view piece);
  /// Counts of the document; the counter starts anew.
  TextCounts finish();

 private:
  bool lines_;
  TextCounts counts_;
  bool in_word_ = false;
  char last_ = '\n';
};

}  // namespace longhaul::data
