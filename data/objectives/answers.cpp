#include "data/objectives/answers.h"

#include <algorithm>
#include <map>
#include <sstream>

#include "data/text/unicode.h"
#include "data/text/utf8.h"

namespace longhaul::data {
namespace {

bool is_punctuation(char32_t code) {
  return (code >= '!' && code <= '/') || (code >= ':' && code <= '@') || (code >= '[' && code <= '`') ||
         (code >= '{' && code <= '~');
}

/// Tokens of a text as the front of a longer one: without the line end that the word tokenizer puts behind a last line.
int64_t front_tokens(const Tokenizer& tokenizer, std::string_view text) {
  const auto count = static_cast<int64_t>(tokenizer.encode(text).size());
  const bool added = tokenizer.kind() == TokenizerKind::kWord && !text.empty() && !text.ends_with('\n');
  return count - (added ? 1 : 0);
}

}  // namespace

TokenSpan answer_span(const Tokenizer& tokenizer, std::string_view context, size_t begin, size_t end) {
  const std::vector<int32_t> ids = tokenizer.encode(context);
  if (tokenizer.lossless()) {
    TokenSpan span{.first = -1, .last = -1};
    size_t at = 0;
    bool aligned = true;
    for (size_t i = 0; i < ids.size() && aligned; ++i) {
      const std::string piece = tokenizer.decode({&ids[i], 1});
      aligned = context.substr(at).starts_with(piece);
      const size_t next = at + piece.size();
      if (span.first < 0 && next > begin) span.first = static_cast<int64_t>(i);
      if (at < end) span.last = static_cast<int64_t>(i);
      at = next;
    }
    if (aligned && at == context.size() && span.first >= 0) return span;
  }
  const auto most = std::max<int64_t>(0, static_cast<int64_t>(ids.size()) - 1);
  const int64_t first = std::min(most, front_tokens(tokenizer, context.substr(0, begin)));
  const int64_t last = std::min(most, front_tokens(tokenizer, context.substr(0, end)) - 1);
  return {first, std::max(first, last)};
}

size_t byte_of_character(std::string_view text, int64_t index) {
  size_t at = 0;
  for (int64_t i = 0; i < index; ++i) {
    if (at >= text.size()) return std::string::npos;
    at += static_cast<size_t>(utf8_step(text, at).length);
  }
  return at;
}

std::string normalized_answer(std::string_view text) {
  std::string plain;
  for (size_t at = 0; at < text.size();) {
    const Utf8Step step = utf8_step(text, at);
    if (step.fault != Utf8Fault::kNone) {
      plain.append(text.substr(at, static_cast<size_t>(step.length)));
    } else if (is_space(step.code)) {
      plain.push_back(' ');
    } else if (!is_punctuation(step.code)) {
      append_utf8(plain, to_lower(step.code));
    }
    at += static_cast<size_t>(step.length);
  }
  std::istringstream words(plain);
  std::string out, word;
  while (words >> word) {
    if (word == "a" || word == "an" || word == "the") continue;
    out += (out.empty() ? "" : " ") + word;
  }
  return out;
}

double answer_f1(const std::string& found, const std::string& expected) {
  const auto words_of = [](const std::string& text) {
    std::map<std::string, int64_t> words;
    std::istringstream stream(text);
    int64_t count = 0;
    for (std::string word; stream >> word; ++count) ++words[word];
    return std::pair(words, count);
  };
  const auto [ours, our_count] = words_of(found);
  const auto [theirs, their_count] = words_of(expected);
  if (our_count == 0 || their_count == 0) return our_count == their_count ? 1 : 0;
  int64_t shared = 0;
  for (const auto& [word, count] : ours) {
    if (const auto other = theirs.find(word); other != theirs.end()) shared += std::min(count, other->second);
  }
  if (shared == 0) return 0;
  return 2.0 * static_cast<double>(shared) / static_cast<double>(our_count + their_count);
}

}  // namespace longhaul::data
