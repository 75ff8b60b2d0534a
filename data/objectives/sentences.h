// defines: TokenRun, SentenceSplitter, sentence_scores
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/tokenizers/extended.h"

namespace longhaul::data {

/// A run of tokens.
struct TokenRun {
  int64_t begin = 0, end = 0;
};

/// Sentences of tokens. A sentence ends behind . ! or ?, the quotes and brackets that close it included, where a blank
/// follows that no lower-case letter comes after; not behind an initial or a title such as Mr.; and at an empty line. A token
/// that reaches over an end belongs to the sentence before it.
class SentenceSplitter {
 public:
  explicit SentenceSplitter(const Tokenizer& tokenizer);
  std::vector<TokenRun> split(std::span<const int32_t> tokens) const;
  /// Text of a run with its blanks.
  std::string text(std::span<const int32_t> tokens) const;

 private:
  std::vector<std::string> texts_;  // [ids]
};

/// How much each sentence says of the others: ROUGE-1 F1 between its words and those of all the rest (Zhang et al. 2020,
/// section 3.1, "independent", counting repetitions). Words are runs of letters and digits in lower case.
std::vector<double> sentence_scores(const std::vector<std::string>& sentences);

}  // namespace longhaul::data
