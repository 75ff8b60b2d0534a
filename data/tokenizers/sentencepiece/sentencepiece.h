// defines: SentencePieceTokenizer, load_sentencepiece, train_sentencepiece
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/tokenizers/sentencepiece/model_check.h"
#include "data/tokenizers/tokenizer.h"

namespace longhaul::data {

/// A SentencePiece model, unigram or BPE (Kudo & Richardson 2018). Text is encoded line by line, the line end with its
/// line; lines over kLongestLine bytes are cut there.
///
/// A model without normalisation, dummy prefix and removal of blanks, with byte fallback and the line feed as a piece,
/// as train() makes, is exact: bytes that are no UTF-8 and U+2581, which the library uses for the blank, become byte
/// pieces.
class SentencePieceTokenizer final : public Tokenizer {
 public:
  static constexpr size_t kLongestLine = 1 << 16;

  /// throws DataError naming `source`
  SentencePieceTokenizer(std::string model, const std::string& source);
  ~SentencePieceTokenizer() override;

  TokenizerKind kind() const override { return TokenizerKind::kSentencePiece; }
  int64_t vocabulary_size() const override { return static_cast<int64_t>(facts_.pieces.size()); }
  SpecialIds special() const override { return special_; }
  Fidelity fidelity() const override { return exact_ ? Fidelity::kExact : Fidelity::kLossy; }
  bool takes_any_bytes() const override { return exact_; }
  size_t encode_front(std::string_view text, bool last, EncodedText& out) const override;
  std::string decode(std::span<const int32_t> ids) const override;
  std::string piece(int32_t id) const override;
  std::vector<std::pair<std::string, std::string>> files() const override;

 private:
  void encode_line(std::string_view line, EncodedText& out) const;
  void encode_plain(std::string_view text, EncodedText& out) const;

  struct Library;
  std::unique_ptr<Library> library_;
  std::string model_;
  SentencePieceFacts facts_;
  SpecialIds special_;
  bool exact_ = false;
};

std::shared_ptr<const Tokenizer> load_sentencepiece(const std::string& path);
/// Lossless settings (data spec 3.1): identity normalisation, byte fallback, the line feed as a piece, digits apart;
/// unk 0, begin 1, end 2, pad 3.
std::shared_ptr<const Tokenizer> train_sentencepiece(const TokenizerOptions& options, const TextSource& text);

}  // namespace longhaul::data
