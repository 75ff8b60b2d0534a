// defines: TextStream
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/tokenizers/tokenizer.h"

namespace longhaul::train {

/// Text of tokens that arrive one by one, in pieces of whole characters: a piece is held back while it ends inside a
/// UTF-8 sequence. A few tokens are decoded together with their predecessors, because what a token stands for may
/// depend on them (blanks of SentencePiece).
class TextStream {
 public:
  /// `context`: tokens before the first one, whose text is not repeated.
  TextStream(const data::Tokenizer& tokenizer, std::vector<int32_t> context);
  /// The text that is complete now; may be empty.
  std::string add(int32_t token);
  /// What was held back; bytes that are no UTF-8 come as they are.
  std::string finish();

 private:
  std::string piece(bool all);
  const data::Tokenizer& tokenizer_;
  std::vector<int32_t> tokens_;
  size_t anchor_ = 0;  // decoding begins here
  size_t shown_ = 0;   // text of tokens before this one has been given
};

}  // namespace longhaul::train
