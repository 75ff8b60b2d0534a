// defines: Masked, masked_count, Masker
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "data/objectives/objective.h"

namespace longhaul::data {

/// A text with some of its tokens hidden.
struct Masked {
  std::vector<int32_t> tokens;   // as the model sees them
  std::vector<int32_t> targets;  // the hidden ones, -1 elsewhere
};

/// How many of the tokens of a text that stand for text are hidden: a share of them, one at least.
int64_t masked_count(double share, int64_t ordinary);

/// Hides tokens as in Devlin et al. 2019, section 3.1: masked_count() of the tokens of a text that stand for text;
/// 80 % become the mask id, 10 % a random id of the vocabulary, 10 % stay.
///
///   token       single ones, without replacement
///   whole_word  words whose tokens fit what is left of the number, in random order; a word starts with a blank (or U+2581)
///               or behind a blank piece
///   span        runs whose length is geometric with p = 0.2, at most 10 (Joshi et al. 2020, section 3.1), until the
///               number is reached; what happens to the tokens is decided once a run
///
/// A text without such tokens keeps them all.
class Masker {
 public:
  Masker(Masking masking, double share, std::shared_ptr<const ExtendedTokenizer> tokenizer);
  /// All choices are a function of the text, seed and key.
  Masked apply(std::span<const int32_t> text, uint64_t seed, uint64_t key) const;

 private:
  using Groups = std::vector<std::vector<int64_t>>;  // positions that are treated alike
  Groups choose_tokens(std::span<const int64_t> places, int64_t number, uint64_t seed, uint64_t key) const;
  Groups choose_words(std::span<const int32_t> text, int64_t number, uint64_t seed, uint64_t key) const;
  Groups choose_spans(std::span<const int32_t> text, std::span<const int64_t> places, int64_t number, uint64_t seed, uint64_t key) const;

  Masking masking_;
  double share_;
  std::shared_ptr<const ExtendedTokenizer> tokenizer_;
  std::vector<int32_t> ordinary_;   // ids that stand for text
  std::vector<bool> starts_blank_;  // [ids] the piece starts with a blank
  std::vector<bool> all_blank_;     // [ids] it is nothing else
};

}  // namespace longhaul::data
