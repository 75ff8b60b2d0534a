#include "data/objectives/sentences.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <unordered_map>

namespace longhaul::data {
namespace {

constexpr std::string_view kLowBlank = "\xE2\x96\x81";  // U+2581, the blank of SentencePiece
constexpr std::array<std::string_view, 10> kTitles = {"Mr", "Mrs", "Ms", "Dr", "St", "Prof", "Sr", "Jr", "Rev", "vs"};
constexpr std::array<std::string_view, 7> kClosers = {"\"", "'", ")", "]", "\xE2\x80\x9D", "\xE2\x80\x99", "\xC2\xBB"};

/// Of every byte beyond ASCII a letter is near enough.
bool is_word(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
}
bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

/// The word whose last byte stands before `at`.
std::string_view word_before(std::string_view text, size_t at) {
  size_t begin = at;
  while (begin > 0 && is_word(text[begin - 1])) --begin;
  return text.substr(begin, at - begin);
}

/// Where the sentence that the mark at `at` may end is over; 0: it does not end one.
size_t end_behind(std::string_view text, size_t at) {
  const char mark = text[at];
  if (mark != '.' && mark != '!' && mark != '?') return 0;
  if (mark == '.') {
    const std::string_view word = word_before(text, at);
    if (word.size() == 1 && word[0] >= 'A' && word[0] <= 'Z') return 0;
    if (std::find(kTitles.begin(), kTitles.end(), word) != kTitles.end()) return 0;
  }
  size_t end = at + 1;
  for (bool more = true; more;) {
    more = false;
    for (const std::string_view closer : kClosers) {
      if (!text.substr(end).starts_with(closer)) continue;
      end += closer.size();
      more = true;
    }
  }
  if (end < text.size() && !is_blank(text[end])) return 0;
  size_t next = end;
  while (next < text.size() && is_blank(text[next])) ++next;
  return next < text.size() && text[next] >= 'a' && text[next] <= 'z' ? 0 : end;
}

/// Whether an empty line begins at the line end at `at`.
bool empty_line(std::string_view text, size_t at) {
  if (text[at] != '\n') return false;
  size_t next = at + 1;
  while (next < text.size() && is_blank(text[next]) && text[next] != '\n') ++next;
  return next < text.size() && text[next] == '\n';
}

std::unordered_map<std::string, int64_t> words_of(const std::string& text) {
  std::unordered_map<std::string, int64_t> words;
  std::string word;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && is_word(text[i])) {
      const char c = text[i];
      word.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c);
    } else if (!word.empty()) {
      ++words[word];
      word.clear();
    }
  }
  return words;
}

}  // namespace

SentenceSplitter::SentenceSplitter(const Tokenizer& tokenizer) {
  for (int32_t id = 0; id < tokenizer.vocabulary_size(); ++id) {
    std::string text;
    switch (tokenizer.kind()) {
      case TokenizerKind::kSentencePiece:
        text = tokenizer.decode({&id, 1}).empty() ? "" : tokenizer.piece(id);
        for (size_t at = text.find(kLowBlank); at != std::string::npos; at = text.find(kLowBlank, at + 1)) {
          text.replace(at, kLowBlank.size(), " ");
        }
        break;
      case TokenizerKind::kWord:
        text = " " + tokenizer.decode({&id, 1});
        break;
      default:
        text = tokenizer.decode({&id, 1});
    }
    texts_.push_back(std::move(text));
  }
}

std::string SentenceSplitter::text(std::span<const int32_t> tokens) const {
  std::string out;
  for (const int32_t id : tokens) out += texts_.at(static_cast<size_t>(id));
  return out;
}

std::vector<TokenRun> SentenceSplitter::split(std::span<const int32_t> tokens) const {
  std::vector<size_t> ends;  // in bytes
  const std::string all = text(tokens);
  bool words = false;  // a sentence has at least one
  for (size_t at = 0; at < all.size(); ++at) {
    words = words || is_word(all[at]);
    if (!words) continue;
    const size_t end = empty_line(all, at) ? at + 1 : end_behind(all, at);
    if (end == 0) continue;
    ends.push_back(end);
    at = end - 1;
    words = false;
  }
  std::vector<TokenRun> runs;
  int64_t begin = 0;
  size_t byte = 0, next = 0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const auto token = static_cast<int64_t>(i);
    bool cut = false;
    while (next < ends.size() && byte >= ends[next]) cut = true, ++next;
    if (cut && token > begin) {
      runs.push_back({begin, token});
      begin = token;
    }
    byte += texts_[static_cast<size_t>(tokens[i])].size();
  }
  const auto all_tokens = static_cast<int64_t>(tokens.size());
  if (begin < all_tokens) {
    // What follows the last sentence without a word of its own belongs to it.
    const bool rest = !words && !runs.empty() && (ends.empty() || ends.back() < all.size());
    if (rest) {
      runs.back().end = all_tokens;
    } else {
      runs.push_back({begin, all_tokens});
    }
  }
  return runs;
}

std::vector<double> sentence_scores(const std::vector<std::string>& sentences) {
  std::vector<std::unordered_map<std::string, int64_t>> words;
  std::unordered_map<std::string, int64_t> all;
  int64_t total = 0;
  for (const std::string& sentence : sentences) {
    words.push_back(words_of(sentence));
    for (const auto& [word, count] : words.back()) all[word] += count, total += count;
  }
  std::vector<double> scores;
  for (const auto& own : words) {
    int64_t shared = 0;
    for (const auto& [word, count] : own) shared += std::min(count, all[word] - count);
    // F1 = 2 P R / (P + R) with P = shared / own words, R = shared / other words.
    scores.push_back(total > 0 ? 2 * static_cast<double>(shared) / static_cast<double>(total) : 0);
  }
  return scores;
}

}  // namespace longhaul::data
