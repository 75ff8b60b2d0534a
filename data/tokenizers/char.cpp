#include <nlohmann/json.hpp>

#include "data/text/utf8.h"
#include "data/tokenizers/json_file.h"
#include "data/tokenizers/vocabulary.h"
#include "framework/base/error.h"

namespace longhaul::data {

CharTokenizer::CharTokenizer(std::vector<char32_t> codes, bool unknown) : codes_(std::move(codes)), unknown_(unknown) {
  for (size_t i = 0; i < codes_.size(); ++i) ids_.emplace(codes_[i], static_cast<int32_t>(i));
  seal();
}

SpecialIds CharTokenizer::special() const {
  SpecialIds ids;
  if (unknown_) ids.unknown = static_cast<int32_t>(codes_.size());
  return ids;
}

size_t CharTokenizer::encode_front(std::string_view text, bool last, EncodedText& out) const {
  size_t at = 0;
  while (at < text.size()) {
    const Utf8Step step = utf8_step(text, at);
    if (step.fault == Utf8Fault::kCutAtEnd && !last) break;
    check<DataError>(step.fault == Utf8Fault::kNone, "[tokenizer] invalid UTF-8 at byte {}: {}", at,
                     name_of(step.fault));
    const auto found = ids_.find(step.code);
    if (found != ids_.end()) {
      out.ids.push_back(found->second);
    } else {
      check<DataError>(
          unknown_,
          "[tokenizer] character {} (\"{}\") is not in the vocabulary of {} characters\n"
          "  hint: train the vocabulary on text that holds it, set data.tokenizer.unknown: true, or use kind: byte",
          code_name(step.code), text.substr(at, step.length), codes_.size());
      out.ids.push_back(static_cast<int32_t>(codes_.size()));
      ++out.unknown;
    }
    at += step.length;
  }
  return at;
}

std::string CharTokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) {
    check<DataError>(id >= 0 && id < vocabulary_size(), "[tokenizer] id {} in a vocabulary of {}", id,
                     vocabulary_size());
    append_utf8(text, static_cast<size_t>(id) < codes_.size() ? codes_[static_cast<size_t>(id)] : U'�');
  }
  return text;
}

std::string CharTokenizer::piece(int32_t id) const {
  check<DataError>(id >= 0 && id < vocabulary_size(), "[tokenizer] id {} in a vocabulary of {}", id, vocabulary_size());
  if (static_cast<size_t>(id) == codes_.size()) return "<unk>";
  return decode({&id, 1});
}

std::vector<std::pair<std::string, std::string>> CharTokenizer::files() const {
  std::string characters;
  for (const char32_t code : codes_) append_utf8(characters, code);
  return {native_file(kind(), {{"characters", characters}, {"unknown", unknown_}})};
}

}  // namespace longhaul::data
