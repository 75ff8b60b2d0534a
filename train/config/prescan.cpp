#include "train/config/prescan.h"

#include <fmt/format.h>

#include <string_view>
#include <vector>

namespace longhaul::config {
namespace {

// Length of the UTF-8 sequence at `at`, 0 when it is none (stray, overlong, surrogate, beyond U+10FFFF, cut off).
size_t utf8_length(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0u; };
  const auto next = [&](size_t i) { return (byte(i) & 0xC0u) == 0x80u; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return next(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if ((first == 0xE0 && byte(1) < 0xA0) || (first == 0xED && byte(1) > 0x9F)) return 0;
    return next(1) && next(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if ((first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) > 0x8F)) return 0;
    return next(1) && next(2) && next(3) ? 4 : 0;
  }
  return 0;
}

// Characters: everything but text in UTF-8 with ordinary line ends is refused.
std::optional<Fault> check_characters(std::string_view text) {
  int line = 1, column = 1;
  for (size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte == 0) return Fault{line, column, "a NUL byte; a configuration is UTF-8 text"};
    if (byte == '\r') return Fault{line, column, "a carriage return without a line feed"};
    if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F) {
      return Fault{line, column, fmt::format("a control character (0x{:02X})", byte)};
    }
    const size_t length = utf8_length(text, i);
    if (length == 0) return Fault{line, column, fmt::format("not UTF-8 (byte 0x{:02X})", byte)};
    if (byte == '\n') {
      ++line;
      column = 0;
    }
    ++column;
    i += length;
  }
  return std::nullopt;
}

std::string unify_line_ends(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    out += text[i];
  }
  return out;
}

// Follows indentation, dashes, brackets and quotes just closely enough to bound the nesting.
class Nesting {
 public:
  std::optional<Fault> line(std::string_view text, int number) {
    size_t start = text.find_first_not_of(' ');
    if (start == std::string_view::npos) return std::nullopt;
    if (!quote_ && text[start] == '\t' && text.find_first_not_of(" \t") != std::string_view::npos &&
        text[text.find_first_not_of(" \t")] != '#') {
      return Fault{number, static_cast<int>(start) + 1, "a tab in the indentation; YAML indents with spaces"};
    }
    if (!quote_ && start == 0 && text[0] == '%') return Fault{number, 1, "a YAML directive, which is not taken"};
    size_t dashes = 0;
    if (!quote_ && brackets_ == 0 && text[start] != '#') {
      while (!indents_.empty() && indents_.back() > start) indents_.pop_back();
      if (indents_.empty() || indents_.back() < start) indents_.push_back(start);
      while ((text[start] == '-' || text[start] == '?') && start + 1 < text.size() && text[start + 1] == ' ') {
        ++dashes;
        start = text.find_first_not_of(' ', start + 1);
        if (start == std::string_view::npos) break;
      }
    }
    const size_t outside = indents_.size() + dashes;
    if (start == std::string_view::npos) return deep(outside, number, 1);
    return inline_text(text, start, outside, number);
  }

 private:
  static std::optional<Fault> deep(size_t depth, int line, size_t column) {
    if (depth <= static_cast<size_t>(Limits::kDepth)) return std::nullopt;
    return Fault{line, static_cast<int>(column), fmt::format("more than {} levels of nesting", Limits::kDepth)};
  }

  std::optional<Fault> inline_text(std::string_view text, size_t start, size_t outside, int number) {
    bool token_start = true;  // where a quote or a bracket is one, and not a character of a plain text
    for (size_t i = start; i < text.size(); ++i) {
      const char c = text[i];
      if (quote_) {
        if (quote_ == '"' && c == '\\') {
          ++i;
        } else if (c == quote_) {
          quote_ = 0;
        }
        continue;
      }
      if (c == '#' && (i == 0 || text[i - 1] == ' ' || text[i - 1] == '\t')) break;
      if (c == ' ' || c == '\t') continue;
      if (c == ',' && brackets_ > 0 && ++separators_ > Limits::kNodes) {
        return Fault{number, static_cast<int>(i) + 1, fmt::format("more than {} values", Limits::kNodes)};
      }
      if ((c == '"' || c == '\'') && token_start) {
        quote_ = c;
      } else if ((c == '[' || c == '{') && (token_start || brackets_ > 0)) {
        if (auto fault = deep(outside + ++brackets_, number, i + 1)) return fault;
        continue;
      } else if ((c == ']' || c == '}') && brackets_ > 0) {
        --brackets_;
      }
      token_start = c == ':' || c == ',' || c == '-' || c == '?' || c == '&';
    }
    return deep(outside, number, start + 1);
  }

  std::vector<size_t> indents_;
  size_t brackets_ = 0;
  size_t separators_ = 0;  // commas between values in brackets
  char quote_ = 0;
};

}  // namespace

std::optional<Fault> prescan(std::string& text) {
  if (text.size() > Limits::kFileBytes) {
    return Fault{0, 0, fmt::format("{} bytes; a configuration has at most {}", text.size(), Limits::kFileBytes)};
  }
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) return Fault{1, 1, "UTF-16; save it as UTF-8"};
  text = unify_line_ends(text);
  if (auto fault = check_characters(text)) return fault;
  Nesting nesting;
  int number = 1;
  for (size_t start = 0; start <= text.size(); ++number) {
    const size_t end = std::min(text.find('\n', start), text.size());
    if (auto fault = nesting.line(std::string_view(text).substr(start, end - start), number)) return fault;
    start = end + 1;
  }
  return std::nullopt;
}

}  // namespace longhaul::config
