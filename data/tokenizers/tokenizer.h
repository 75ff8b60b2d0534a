// defines: Tokenizer, TokenizerKind, TokenizerOptions, SpecialIds, Fidelity, EncodedText, load_tokenizer,
// train_tokenizer
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/base/sha256.h"

namespace longhaul::data {

enum class TokenizerKind { kByte, kChar, kWord, kBpe, kSentencePiece };
enum class SentencePieceModel { kUnigram, kBpe };

std::string_view name_of(TokenizerKind kind);  // "byte", "char", "word", "bpe", "sentencepiece"

/// What `data.tokenizer` says. With a path the tokenizer is loaded, without one it is trained on the training text
/// (byte needs neither).
struct TokenizerOptions {
  TokenizerKind kind = TokenizerKind::kByte;
  std::string path;  // file or folder written by `longhaul tokenizer train`, or in a public layout; see load_tokenizer
  int64_t vocabulary_size =
      0;                 // of a trained one; char, word: the most frequent ones, 0 = all; bpe, sentencepiece: required
  int64_t offset = 0;    // byte: id = value + offset; the ids below are pad 0, end 1, begin 2, mask 3
  bool unknown = false;  // char: reserve an id for characters outside the vocabulary instead of refusing them
  SentencePieceModel model = SentencePieceModel::kUnigram;  // sentencepiece, trained
  double character_coverage = 0.9995;                       // sentencepiece, trained; the rest becomes bytes
  bool operator==(const TokenizerOptions&) const = default;
};

/// Ids with a meaning; -1 where the vocabulary has none.
struct SpecialIds {
  int32_t unknown = -1;
  int32_t begin = -1;
  int32_t end = -1;  // put after each document when present
  int32_t pad = -1;
  int32_t mask = -1;
  bool operator==(const SpecialIds&) const = default;
};

/// What decode(encode(text)) gives back for any accepted text without unknown ids.
enum class Fidelity {
  kExact,  // the text: byte, character and word figures are valid
  kWords,  // the same words and lines, other blanks: word figures are valid
  kLossy,  // a normalised text: only figures per token are valid
};

/// Ids of a text, and how many pieces of it decoding will not give back: those that became the unknown id (a literal
/// <unk> among words is none of them), and special marks found in the text, which decode to nothing.
struct EncodedText {
  std::vector<int32_t> ids;
  int64_t unknown = 0;
};

/// Text to ids and back. Immutable once made, safe to share between threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual TokenizerKind kind() const = 0;
  virtual int64_t vocabulary_size() const = 0;
  virtual SpecialIds special() const = 0;
  virtual Fidelity fidelity() const = 0;
  bool lossless() const { return fidelity() == Fidelity::kExact; }
  /// Whether any sequence of bytes is a legal text, not only UTF-8.
  virtual bool takes_any_bytes() const = 0;

  /// Encodes the front of `text`, which starts where an earlier call stopped (or at the start of a document), appends
  /// the ids and returns how many bytes were used. With `last` all of it is used; without, it stops where no
  /// continuation can change the ids made so far. Feeding a document in pieces of any size gives the ids of the whole.
  /// Takes UTF-8 unless takes_any_bytes(); special ids are only made from marks that stand in the text.
  /// throws DataError for a character the vocabulary cannot express, with its byte offset in `text`
  virtual size_t encode_front(std::string_view text, bool last, EncodedText& out) const = 0;
  /// One whole document; no begin or end id is added.
  std::vector<int32_t> encode(std::string_view text) const;

  /// Text of the ids; special ids give nothing. throws DataError for an id outside the vocabulary
  virtual std::string decode(std::span<const int32_t> ids) const = 0;
  /// A readable name of one id, for reports: "the", "<eos>", "\n" as it is, bytes that are no UTF-8 as <0xE2>.
  virtual std::string piece(int32_t id) const = 0;

  /// The files that hold it, as (name, content); names start with "tokenizer.". The same tokenizer gives the same
  /// bytes.
  virtual std::vector<std::pair<std::string, std::string>> files() const = 0;
  /// SHA-256 over the names and contents of files().
  const Sha256::Digest& hash() const;
  std::string hash_hex() const { return to_hex(hash()); }
  /// Writes files() into an existing folder (a checkpoint, a run, a model), each as a new file, durably.
  void save(const std::string& folder) const;

 protected:
  /// To be called at the end of a constructor, once files() is final.
  void seal();

 private:
  Sha256::Digest hash_{};
};

/// Loads from `options.path` (byte: needs none):
///   a folder with tokenizer.json (ours, public byte-level BPE, or a public unigram model beside its SentencePiece model),
///   tokenizer.model, spiece.model, sentencepiece.bpe.model, or vocab.json + merges.txt;
///   one of these files; for word a text file with one word a line; for char a text file whose characters are the
///   vocabulary.
/// throws DataError naming the file: missing, malformed, or of another kind than `options.kind`
std::shared_ptr<const Tokenizer> load_tokenizer(const TokenizerOptions& options);

/// Loads what save() wrote, whatever its kind. throws DataError
std::shared_ptr<const Tokenizer> load_tokenizer_folder(const std::string& folder);

/// Loads a file or folder that says itself what it is: tokenizer.json, vocab.json (with merges.txt beside it), *.model,
/// or a folder with one of these. throws DataError
std::shared_ptr<const Tokenizer> load_any_tokenizer(const std::string& path);

/// Calls its argument with consecutive pieces of one document after another; an empty piece ends a document.
using TextSource = std::function<void(const std::function<void(std::string_view piece)>& take)>;

/// Makes a tokenizer from text; the same text and options give the same tokenizer. `text` may be called more than once.
/// throws DataError when the text cannot give a vocabulary of that size, ConfigError when a size is required and absent
std::shared_ptr<const Tokenizer> train_tokenizer(const TokenizerOptions& options, const TextSource& text);

}  // namespace longhaul::data
