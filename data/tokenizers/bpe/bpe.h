// defines: BpeModel, AddedToken, BpeTokenizer and its loaders and trainer
#pragma once
#include <array>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/tokenizers/tokenizer.h"

namespace longhaul::data::bpe {

/// A mark that is looked for in the text before anything else, and becomes one id.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool left_strip = false;   // takes the white space before it
  bool right_strip = false;  // takes the white space behind it
  bool special = true;       // decodes to nothing
};

/// What a byte-level BPE tokenizer is made of, as read from a file or trained.
struct BpeModel {
  std::vector<std::string> pieces;  // [ids], as in the files: byte symbols, or an added token's text
  std::vector<std::pair<std::string, std::string>> merges;  // by falling priority, byte symbols
  std::vector<AddedToken> added;
  std::string unknown;         // piece for bytes without a symbol in the vocabulary; empty: none
  bool ignore_merges = false;  // a word that is a piece is taken as it is
};

/// Byte-level byte-pair encoding with the pre-splitting of GPT-2. A word's bytes are merged by falling priority of the
/// pairs, leftmost first (Sennrich et al. 2016; Radford et al. 2019, section 2.2).
class BpeTokenizer final : public Tokenizer {
 public:
  /// throws DataError naming `source`: a piece that is empty, too long, twice, or holds a character that stands for no
  /// byte; a merge whose parts no earlier merge makes, whose result is no piece, or that stands twice
  BpeTokenizer(BpeModel model, const std::string& source);

  TokenizerKind kind() const override { return TokenizerKind::kBpe; }
  int64_t vocabulary_size() const override { return static_cast<int64_t>(model_.pieces.size()); }
  SpecialIds special() const override { return special_; }
  Fidelity fidelity() const override { return fidelity_; }
  bool takes_any_bytes() const override { return true; }
  size_t encode_front(std::string_view text, bool last, EncodedText& out) const override;
  std::string decode(std::span<const int32_t> ids) const override;
  std::string piece(int32_t id) const override;
  /// tokenizer.json in the public layout.
  std::vector<std::pair<std::string, std::string>> files() const override;

 private:
  struct Merge {
    int32_t rank = 0;
    int32_t result = 0;
  };
  struct Found {  // an added token in the text
    size_t begin = 0, end = 0;
    const AddedToken* token = nullptr;
  };
  void index_pieces(const std::string& source);
  void index_merges(const std::string& source);
  void index_added(const std::string& source);
  Found find_added(std::string_view text, size_t from, size_t limit) const;
  void encode_word(std::string_view word, EncodedText& out) const;
  std::vector<int32_t> merged(std::string_view word) const;

  BpeModel model_;
  std::vector<std::string> bytes_;                       // [ids] what each stands for
  std::unordered_map<std::string, int32_t> id_of_;       // piece -> id
  std::unordered_map<std::string, int32_t> id_of_word_;  // bytes -> id, for ignore_merges
  std::array<int32_t, 256> byte_id_{};                   // -1: no such piece
  std::unordered_map<uint64_t, Merge> merges_;           // left << 32 | right
  std::vector<size_t> by_length_;                        // added tokens, longest first
  std::array<bool, 256> added_begin_{};                  // first bytes of added tokens
  size_t longest_added_ = 0;
  std::vector<bool> silent_;  // [ids] special: decodes to nothing
  SpecialIds special_;
  Fidelity fidelity_ = Fidelity::kExact;

  mutable std::mutex cache_mutex_;
  mutable std::unordered_map<std::string, std::vector<int32_t>> cache_;  // of short words
};

/// tokenizer.json of the public layout whose model is byte-level BPE. throws DataError, also for settings that are not
/// those of GPT-2 (normalizer, other pre-splitting, dropout, ...), each by name
std::shared_ptr<const Tokenizer> load_json(const nlohmann::json& json, const std::string& path);
/// vocab.json and merges.txt. <|endoftext|>, <s>, </s>, <pad>, <unk> and <mask> are added tokens where they are pieces.
std::shared_ptr<const Tokenizer> load_pair(const std::string& vocabulary_path, const std::string& merges_path);
/// 256 bytes in the order of their symbols, then merges of the most frequent pairs (ties: the lower ids), then
/// <|endoftext|>. options.vocabulary_size counts all of them.
std::shared_ptr<const Tokenizer> train(const TokenizerOptions& options, const TextSource& text);

}  // namespace longhaul::data::bpe
