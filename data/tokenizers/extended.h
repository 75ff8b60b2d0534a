// defines: WantedIds, ExtendedTokenizer, extend, planned_vocabulary
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/tokenizers/tokenizer.h"

namespace longhaul::data {

/// Ids without text that an objective works with.
struct WantedIds {
  bool rows = false;      // begin and end mark a row; public [CLS] and [SEP] go before the begin and end of a text
  bool begin = false;
  bool end = false;
  bool pad = false;
  bool mask = false;
  int64_t sentinels = 0;  // of span corruption (Raffel et al. 2020, section 3.1.4)
  bool operator==(const WantedIds&) const = default;
};

/// A tokenizer with the special ids that an objective wants. Those it has are used; the others are put behind its ids in
/// the order pad, begin, end, mask, sentinels, of which number 0 has the highest id. Nothing is stored for them: tokenizer
/// and objective decide them. Text is encoded as before; added ids decode to nothing.
class ExtendedTokenizer final : public Tokenizer {
 public:
  ExtendedTokenizer(std::shared_ptr<const Tokenizer> inner, const WantedIds& wanted);

  TokenizerKind kind() const override { return inner_->kind(); }
  int64_t vocabulary_size() const override { return inner_->vocabulary_size() + static_cast<int64_t>(names_.size()); }
  SpecialIds special() const override { return special_; }
  Fidelity fidelity() const override { return inner_->fidelity(); }
  bool takes_any_bytes() const override { return inner_->takes_any_bytes(); }
  size_t encode_front(std::string_view text, bool last, EncodedText& out) const override {
    return inner_->encode_front(text, last, out);
  }
  std::string decode(std::span<const int32_t> ids) const override;
  std::string piece(int32_t id) const override;
  /// Those of the tokenizer inside, so that the hash is the same.
  std::vector<std::pair<std::string, std::string>> files() const override { return inner_->files(); }

  const std::shared_ptr<const Tokenizer>& inner() const { return inner_; }
  int64_t sentinels() const { return static_cast<int64_t>(sentinels_.size()); }
  int32_t sentinel(int64_t index) const { return sentinels_.at(static_cast<size_t>(index)); }
  /// Stands for a sentence that was taken out: <mask_1> where the vocabulary has it, else the mask id.
  int32_t sentence_mask() const { return sentence_mask_; }
  /// Whether an id stands for text.
  bool ordinary(int32_t id) const { return ordinary_.at(static_cast<size_t>(id)); }

 private:
  int32_t add(std::string name);

  std::shared_ptr<const Tokenizer> inner_;
  std::vector<std::string> names_;  // of the added ids
  std::vector<int32_t> sentinels_;
  std::vector<bool> ordinary_;
  SpecialIds special_;
  int32_t sentence_mask_ = -1;
};

std::shared_ptr<const ExtendedTokenizer> extend(std::shared_ptr<const Tokenizer> tokenizer, const WantedIds& wanted);

/// Ids that a tokenizer of these options would have with the wanted ones, before it is trained; options.vocabulary_size
/// counts its own.
int64_t planned_vocabulary(const TokenizerOptions& options, const WantedIds& wanted);

}  // namespace longhaul::data
