#include "data/text/unicode.h"

#include <utf8proc.h>

#include <utility>

#include "data/text/utf8.h"

namespace longhaul::data {

bool is_letter(char32_t code) {
  if (code < 0x80) return (code | 0x20u) >= 'a' && (code | 0x20u) <= 'z';
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

bool is_number(char32_t code) {
  if (code < 0x80) return code >= '0' && code <= '9';
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

// White_Space is not a general category: the separators Zs, Zl, Zp and six controls (Unicode PropList.txt).
bool is_space(char32_t code) {
  if (code < 0x80) return code == ' ' || (code >= 0x09 && code <= 0x0D);
  if (code == 0x85) return true;
  const auto category = utf8proc_category(static_cast<utf8proc_int32_t>(code));
  return category >= UTF8PROC_CATEGORY_ZS && category <= UTF8PROC_CATEGORY_ZP;
}

char32_t to_lower(char32_t code) {
  return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
}

void TextCounter::write(std::string_view piece) {
  if (piece.empty()) return;
  counts_.bytes += static_cast<int64_t>(piece.size());
  counts_.characters += characters_in(piece);
  for (size_t at = 0; at < piece.size();) {
    bool space;
    if (static_cast<uint8_t>(piece[at]) < 0x80) {
      space = is_space(static_cast<uint8_t>(piece[at]));
      if (lines_ && piece[at] == '\n') ++counts_.words;
      ++at;
    } else {
      const Utf8Step step = utf8_step(piece, at);
      space = step.fault == Utf8Fault::kNone && is_space(step.code);
      at += step.length;
    }
    if (!space && !in_word_) ++counts_.words;
    in_word_ = !space;
  }
  last_ = piece.back();
}

TextCounts TextCounter::finish() {
  if (lines_ && last_ != '\n') ++counts_.words;
  in_word_ = false;
  last_ = '\n';
  return std::exchange(counts_, {});
}

}  // namespace longhaul::data
