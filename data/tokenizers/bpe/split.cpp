#include "data/tokenizers/bpe/split.h"

#include <array>

#include "data/text/unicode.h"
#include "data/text/utf8.h"

namespace longhaul::data::bpe {
namespace {

enum class Class { kLetter, kNumber, kSpace, kOther };

struct Character {
  Class kind = Class::kOther;
  size_t length = 1;
  bool complete = true;  // false: the text ends inside it
};

Character character_at(std::string_view text, size_t at) {
  const auto byte = static_cast<uint8_t>(text[at]);
  char32_t code = byte;
  Character c;
  if (byte >= 0x80) {
    const Utf8Step step = utf8_step(text, at);
    c.length = static_cast<size_t>(step.length);
    c.complete = step.fault != Utf8Fault::kCutAtEnd;
    if (step.fault != Utf8Fault::kNone) return c;
    code = step.code;
  }
  c.kind = is_letter(code)   ? Class::kLetter
           : is_number(code) ? Class::kNumber
           : is_space(code)  ? Class::kSpace
                             : Class::kOther;
  return c;
}

struct Run {
  size_t end = 0;
  size_t last_begin = 0;  // of its last character
  bool open = false;      // text to come could lengthen it
};

/// The run of characters of one class from `at`, bounded so that the word from `word` on is not too long.
Run run_of(std::string_view text, size_t at, Class kind, size_t word) {
  Run run{at, at, false};
  while (run.end < text.size()) {
    const Character c = character_at(text, run.end);
    if (!c.complete) {
      run.open = true;
      return run;
    }
    if (c.kind != kind) return run;
    run.last_begin = run.end;
    run.end += c.length;
    if (run.end - word >= kLongestWord) return run;
  }
  run.open = true;
  return run;
}

/// Length of a contraction at text[at], or 0; `open` when more text could make it one.
size_t contraction(std::string_view text, size_t at, bool& open) {
  static constexpr std::string_view kAll[] = {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"};
  const std::string_view rest = text.substr(at);
  open = false;
  for (const std::string_view one : kAll) {
    if (rest.starts_with(one)) return one.size();
    if (rest.size() < one.size() && one.starts_with(rest)) open = true;
  }
  return 0;
}

}  // namespace

std::optional<size_t> next_word(std::string_view text, size_t at, bool last) {
  if (text[at] == '\'') {
    bool open = false;
    if (const size_t length = contraction(text, at, open)) return at + length;
    if (open && !last) return std::nullopt;
  }
  size_t begin = at;  // of the run behind an optional blank
  if (text[at] == ' ') {
    if (at + 1 == text.size()) return last ? std::optional(at + 1) : std::nullopt;
    const Character next = character_at(text, at + 1);
    if (!next.complete && !last) return std::nullopt;
    if (next.kind != Class::kSpace) begin = at + 1;
  }
  Character first = character_at(text, begin);
  if (!first.complete && !last) return std::nullopt;
  if (!first.complete) return text.size();  // the front of a character at the very end: a word of stray bytes
  const Run run = run_of(text, begin, first.kind, at);
  if (run.open && !last) return std::nullopt;
  if (run.open && run.end < text.size()) {  // the text ends inside a character, which is of class other
    return first.kind == Class::kOther                          ? text.size()
           : first.kind == Class::kSpace && run.last_begin > at ? run.last_begin
                                                                : run.end;
  }
  if (first.kind != Class::kSpace || run.end == text.size() || run.end - at >= kLongestWord) return run.end;
  return run.last_begin > at ? run.last_begin : run.end;  // \s+(?!\S) leaves the last blank to the word behind it
}

char32_t byte_symbol(uint8_t byte) {
  static const std::array<char32_t, 256> kTable = [] {
    std::array<char32_t, 256> table{};
    char32_t next = 0x100;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      table[static_cast<size_t>(b)] = printable ? static_cast<char32_t>(b) : next++;
    }
    return table;
  }();
  return kTable[byte];
}

std::string symbol_text(std::string_view bytes) {
  std::string out;
  for (const char byte : bytes) append_utf8(out, byte_symbol(static_cast<uint8_t>(byte)));
  return out;
}

std::optional<std::string> bytes_of_symbols(std::string_view text) {
  static const std::array<int, 0x200> kTable = [] {
    std::array<int, 0x200> table{};
    table.fill(-1);
    for (int b = 0; b < 256; ++b) table[byte_symbol(static_cast<uint8_t>(b))] = b;
    return table;
  }();
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text, at);
    if (step.fault != Utf8Fault::kNone || step.code >= kTable.size() || kTable[step.code] < 0) return std::nullopt;
    out.push_back(static_cast<char>(kTable[step.code]));
    at += static_cast<size_t>(step.length);
  }
  return out;
}

}  // namespace longhaul::data::bpe
