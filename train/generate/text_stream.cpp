#include "train/generate/text_stream.h"

#include <algorithm>
#include <span>

namespace longhaul::train {
namespace {

// How many bytes at the end of the text are the begin of a UTF-8 sequence whose rest has not come yet.
size_t unfinished_bytes(const std::string& text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<uint8_t>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;
    const size_t length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1;
    return length > back ? back : 0;
  }
  return 0;
}

constexpr size_t kContextTokens = 8;

}  // namespace

TextStream::TextStream(const data::Tokenizer& tokenizer, std::vector<int32_t> context)
    : tokenizer_(tokenizer), tokens_(std::move(context)) {
  if (tokens_.size() > kContextTokens) {
    tokens_.erase(tokens_.begin(), tokens_.end() - static_cast<ptrdiff_t>(kContextTokens));
  }
  shown_ = tokens_.size();
}

std::string TextStream::piece(bool all) {
  const std::span<const int32_t> tokens(tokens_);
  const std::string before = tokenizer_.decode(tokens.subspan(anchor_, shown_ - anchor_));
  std::string text = tokenizer_.decode(tokens.subspan(anchor_));
  // A piece ends where characters end; a token whose last character is unfinished is given with the next one.
  if (!all && unfinished_bytes(text) > 0) return "";
  if (text.size() < before.size()) return "";
  text.erase(0, before.size());
  anchor_ = shown_;
  shown_ = tokens_.size();
  return text;
}

std::string TextStream::add(int32_t token) {
  tokens_.push_back(token);
  return piece(false);
}

std::string TextStream::finish() { return shown_ == tokens_.size() ? "" : piece(true); }

}  // namespace longhaul::train
