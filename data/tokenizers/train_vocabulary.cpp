#include <algorithm>
#include <map>

#include "data/text/unicode.h"
#include "data/text/utf8.h"
#include "data/tokenizers/json_file.h"
#include "data/tokenizers/makers.h"
#include "data/tokenizers/vocabulary.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

/// Keys by falling count, then rising key; at most `limit` of them (0: all).
template <typename Map>
std::vector<typename Map::key_type> most_frequent(const Map& counts, int64_t limit) {
  std::vector<std::pair<int64_t, typename Map::key_type>> order;
  for (const auto& [key, count] : counts) order.emplace_back(-count, key);
  std::sort(order.begin(), order.end());
  if (limit > 0 && static_cast<int64_t>(order.size()) > limit) order.resize(static_cast<size_t>(limit));
  std::vector<typename Map::key_type> keys;
  for (auto& [count, key] : order) keys.push_back(std::move(key));
  return keys;
}

}  // namespace

std::shared_ptr<const Tokenizer> train_char(const TokenizerOptions& options, const TextSource& text) {
  std::map<char32_t, int64_t> counts;
  text([&](std::string_view piece) {
    for (size_t at = 0; at < piece.size();) {
      const Utf8Step step = utf8_step(piece, at);
      check<DataError>(step.fault == Utf8Fault::kNone, "[tokenizer] invalid UTF-8 in the training text: {}",
                       name_of(step.fault));
      ++counts[step.code];
      at += step.length;
    }
  });
  check<DataError>(!counts.empty(), "[tokenizer] the training text is empty");
  const int64_t room = options.vocabulary_size - (options.unknown ? 1 : 0);
  check<DataError>(options.vocabulary_size == 0 || room >= 1,
                   "[tokenizer] vocab_size = {} leaves no room for a character", options.vocabulary_size);
  const auto distinct = static_cast<int64_t>(counts.size());
  check<DataError>(options.vocabulary_size == 0 || options.unknown || distinct <= room,
                   "[tokenizer] the training text has {} distinct characters, vocab_size = {} is too small for them\n"
                   "  hint: leave vocab_size out, or set unknown: true",
                   distinct, options.vocabulary_size);
  std::vector<char32_t> codes = most_frequent(counts, options.vocabulary_size == 0 ? 0 : room);
  std::sort(codes.begin(), codes.end());
  return std::make_shared<CharTokenizer>(std::move(codes), options.unknown);
}

std::shared_ptr<const Tokenizer> train_word(const TokenizerOptions& options, const TextSource& text) {
  std::unordered_map<std::string, int64_t> counts;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty()) ++counts[word];
    word.clear();
  };
  text([&](std::string_view piece) {
    if (piece.empty()) end_word();
    for (size_t at = 0; at < piece.size();) {
      const Utf8Step step = utf8_step(piece, at);
      check<DataError>(step.fault == Utf8Fault::kNone, "[tokenizer] invalid UTF-8 in the training text: {}",
                       name_of(step.fault));
      if (is_space(step.code)) {
        end_word();
      } else {
        check<DataError>(word.size() < kLongestPiece, "[tokenizer] a word longer than {} bytes\n  hint: use kind: byte",
                         kLongestPiece);
        word.append(piece.substr(at, step.length));
      }
      at += step.length;
    }
  });
  end_word();
  check<DataError>(!counts.empty(), "[tokenizer] the training text holds no word");
  check<DataError>(options.vocabulary_size == 0 || options.vocabulary_size > 2,
                   "[tokenizer] vocab_size = {}: <unk> and <eos> take two", options.vocabulary_size);
  counts.erase("<eos>");
  counts.erase("<unk>");
  return std::make_shared<WordTokenizer>(
      most_frequent(counts, options.vocabulary_size == 0 ? 0 : options.vocabulary_size - 2));
}

}  // namespace longhaul::data
