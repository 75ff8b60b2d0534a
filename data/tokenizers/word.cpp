#include <nlohmann/json.hpp>

#include "data/text/unicode.h"
#include "data/text/utf8.h"
#include "data/tokenizers/json_file.h"
#include "data/tokenizers/vocabulary.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

constexpr const char* kUnknown = "<unk>";
constexpr const char* kLineEnd = "<eos>";

/// One character of valid UTF-8 and whether it is white space.
std::pair<int, bool> next_character(std::string_view text, size_t at) {
  if (static_cast<uint8_t>(text[at]) < 0x80) return {1, is_space(static_cast<uint8_t>(text[at]))};
  const Utf8Step step = utf8_step(text, at);
  check<DataError>(step.fault == Utf8Fault::kNone, "[tokenizer] invalid UTF-8 at byte {}: {}", at, name_of(step.fault));
  return {step.length, is_space(step.code)};
}

/// Where the front of `text` ends that no continuation can change: behind a line end, or before the last blank, which
/// stays as the sign that the line has begun. 0: nowhere yet.
size_t settled(std::string_view text) {
  size_t end = 0;
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = utf8_step(text, at);
    if (step.fault == Utf8Fault::kCutAtEnd) break;
    if (text[at] == '\n') {
      end = at + 1;
    } else if (step.fault == Utf8Fault::kNone && is_space(step.code)) {
      end = at;
    }
    at += step.length;
  }
  return end;
}

}  // namespace

WordTokenizer::WordTokenizer(std::vector<std::string> words) : words_(std::move(words)) {
  words_.reserve(words_.size() + 2);  // the views below stay valid
  for (size_t i = 0; i < words_.size(); ++i) {
    const std::string& word = words_[i];
    check<DataError>(!word.empty(), "[tokenizer] word {} is empty", i);
    check<DataError>(word.size() <= kLongestPiece, "[tokenizer] word {} has {} bytes, at most {} are read", i,
                     word.size(), kLongestPiece);
    for (size_t at = 0; at < word.size();) {
      const Utf8Step step = utf8_step(word, at);
      check<DataError>(step.fault == Utf8Fault::kNone, "[tokenizer] word {} is no UTF-8: {}", i, name_of(step.fault));
      check<DataError>(!is_space(step.code), "[tokenizer] word {} (\"{}\") holds white space", i, word);
      at += step.length;
    }
    const auto [first, fresh] = ids_.emplace(word, static_cast<int32_t>(i));
    check<DataError>(fresh, "[tokenizer] \"{}\" stands twice in the vocabulary, at {} and {}", word, first->second, i);
  }
  const auto add = [this](const char* word) {
    if (const auto found = ids_.find(word); found != ids_.end()) return found->second;
    words_.emplace_back(word);
    const auto id = static_cast<int32_t>(words_.size()) - 1;
    ids_.emplace(words_.back(), id);
    return id;
  };
  unknown_ = add(kUnknown);
  line_end_ = add(kLineEnd);
  seal();
}

SpecialIds WordTokenizer::special() const {
  SpecialIds ids;
  ids.unknown = unknown_;
  return ids;
}

size_t WordTokenizer::encode_front(std::string_view text, bool last, EncodedText& out) const {
  const size_t end = last ? text.size() : settled(text);
  size_t word_begin = 0;
  bool in_word = false;
  const auto end_word = [&](size_t at) {
    if (!in_word) return;
    const auto found = ids_.find(text.substr(word_begin, at - word_begin));
    out.ids.push_back(found == ids_.end() ? unknown_ : found->second);
    out.unknown += found == ids_.end();
    in_word = false;
  };
  for (size_t at = 0; at < end;) {
    const auto [length, space] = next_character(text, at);
    if (space) {
      end_word(at);
      if (text[at] == '\n') out.ids.push_back(line_end_);
    } else if (!in_word) {
      in_word = true;
      word_begin = at;
    }
    at += static_cast<size_t>(length);
    check<DataError>(!in_word || at - word_begin <= kLongestPiece,
                     "[tokenizer] a word longer than {} bytes\n  hint: use kind: byte", kLongestPiece);
  }
  end_word(end);
  if (last && end > 0 && text[end - 1] != '\n') out.ids.push_back(line_end_);
  check<DataError>(last || text.size() - end <= 2 * kLongestPiece,
                   "[tokenizer] a word longer than {} bytes\n  hint: use kind: byte", kLongestPiece);
  return end;
}

std::string WordTokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) {
    check<DataError>(id >= 0 && id < vocabulary_size(), "[tokenizer] id {} in a vocabulary of {}", id,
                     vocabulary_size());
    if (id == line_end_) {
      text.push_back('\n');
      continue;
    }
    if (!text.empty() && text.back() != '\n') text.push_back(' ');
    text += words_[static_cast<size_t>(id)];
  }
  return text;
}

std::string WordTokenizer::piece(int32_t id) const {
  check<DataError>(id >= 0 && id < vocabulary_size(), "[tokenizer] id {} in a vocabulary of {}", id, vocabulary_size());
  return words_[static_cast<size_t>(id)];
}

std::vector<std::pair<std::string, std::string>> WordTokenizer::files() const {
  return {native_file(kind(), {{"words", words_}})};
}

}  // namespace longhaul::data
