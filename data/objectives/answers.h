// defines: TokenSpan, answer_span, byte_of_character, normalized_answer, answer_f1
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "data/tokenizers/tokenizer.h"

namespace longhaul::data {

/// First and last token of an answer.
struct TokenSpan {
  int64_t first = 0, last = 0;
};

/// The tokens of `context` that hold its bytes [begin, end), end > begin. Where single ids decode to the text they stand for,
/// exactly these; else (a normalising SentencePiece model, words) those by which the encodings of context[0, begin) and
/// context[0, end) differ.
TokenSpan answer_span(const Tokenizer& tokenizer, std::string_view context, size_t begin, size_t end);

/// The byte at which character `index` begins; std::string::npos behind the end.
size_t byte_of_character(std::string_view text, int64_t index);

/// As the evaluation of Rajpurkar et al. 2016: lower case, no ASCII punctuation, no a, an, the, single blanks.
std::string normalized_answer(std::string_view text);

/// F1 between the words of two normalised answers, counting repetitions; 1 when both are empty.
double answer_f1(const std::string& found, const std::string& expected);

}  // namespace longhaul::data
