// defines: ByteTokenizer, CharTokenizer, WordTokenizer
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "data/tokenizers/tokenizer.h"

namespace longhaul::data {

/// A byte is its value + offset. Ids below the offset: pad 0, end 1, begin 2, mask 3, as far as they exist.
class ByteTokenizer final : public Tokenizer {
 public:
  explicit ByteTokenizer(int64_t offset);
  TokenizerKind kind() const override { return TokenizerKind::kByte; }
  int64_t vocabulary_size() const override { return 256 + offset_; }
  SpecialIds special() const override;
  Fidelity fidelity() const override { return Fidelity::kExact; }
  bool takes_any_bytes() const override { return true; }
  size_t encode_front(std::string_view text, bool last, EncodedText& out) const override;
  std::string decode(std::span<const int32_t> ids) const override;
  std::string piece(int32_t id) const override;
  std::vector<std::pair<std::string, std::string>> files() const override;

 private:
  int64_t offset_;
};

/// A character is its place in the sorted list of code points; with `unknown` one more id stands for all others.
class CharTokenizer final : public Tokenizer {
 public:
  /// `codes`: rising, at least one.
  CharTokenizer(std::vector<char32_t> codes, bool unknown);
  TokenizerKind kind() const override { return TokenizerKind::kChar; }
  int64_t vocabulary_size() const override { return static_cast<int64_t>(codes_.size()) + unknown_; }
  SpecialIds special() const override;
  Fidelity fidelity() const override { return Fidelity::kExact; }
  bool takes_any_bytes() const override { return false; }
  size_t encode_front(std::string_view text, bool last, EncodedText& out) const override;
  std::string decode(std::span<const int32_t> ids) const override;
  std::string piece(int32_t id) const override;
  std::vector<std::pair<std::string, std::string>> files() const override;

 private:
  std::vector<char32_t> codes_;
  std::unordered_map<char32_t, int32_t> ids_;
  bool unknown_;
};

/// Words between white space, and <eos> at the end of each line, as the word-level WikiText figures count them. A word
/// outside the vocabulary is <unk>, the same id as a literal <unk> in the text. Ids follow the order of the vocabulary.
class WordTokenizer final : public Tokenizer {
 public:
  /// `words`: no blank in any, no two alike; <unk> and <eos> are added at the end where they are missing.
  explicit WordTokenizer(std::vector<std::string> words);
  TokenizerKind kind() const override { return TokenizerKind::kWord; }
  int64_t vocabulary_size() const override { return static_cast<int64_t>(words_.size()); }
  SpecialIds special() const override;
  Fidelity fidelity() const override { return Fidelity::kWords; }
  bool takes_any_bytes() const override { return false; }
  size_t encode_front(std::string_view text, bool last, EncodedText& out) const override;
  std::string decode(std::span<const int32_t> ids) const override;
  std::string piece(int32_t id) const override;
  std::vector<std::pair<std::string, std::string>> files() const override;

 private:
  std::vector<std::string> words_;
  std::unordered_map<std::string_view, int32_t> ids_;  // views into words_
  int32_t unknown_ = -1;
  int32_t line_end_ = -1;
};

}  // namespace longhaul::data
