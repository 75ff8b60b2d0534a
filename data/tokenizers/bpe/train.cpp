#include <algorithm>
#include <map>
#include <queue>
#include <unordered_set>

#include "data/tokenizers/bpe/bpe.h"
#include "data/tokenizers/bpe/split.h"
#include "data/tokenizers/json_file.h"
#include "framework/base/error.h"
#include "framework/base/interrupt.h"

namespace longhaul::data::bpe {
namespace {

constexpr const char* kEnd = "<|endoftext|>";
constexpr int64_t kLeastCount = 2;  // a pair that stands once is never merged

struct Word {
  std::vector<int32_t> symbols;
  int64_t count = 0;
};

std::map<std::string, int64_t> count_words(const TextSource& text) {
  std::map<std::string, int64_t> counts;  // ordered, so that everything after is
  std::string buffer;
  const auto take = [&](bool last) {
    size_t at = 0;
    while (at < buffer.size()) {
      const auto end = next_word(buffer, at, last);
      if (!end) break;
      ++counts[buffer.substr(at, *end - at)];
      at = *end;
    }
    buffer.erase(0, at);
  };
  text([&](std::string_view piece) {
    buffer.append(piece);
    take(piece.empty());
  });
  take(true);
  return counts;
}

/// Merges the most frequent pair again and again, keeping counts of all pairs up to date.
class PairMerger {
 public:
  explicit PairMerger(std::vector<Word> words) : words_(std::move(words)) {
    for (size_t w = 0; w < words_.size(); ++w) {
      for (size_t i = 0; i + 1 < words_[w].symbols.size(); ++i)
        change(w, words_[w].symbols[i], words_[w].symbols[i + 1], words_[w].count);
    }
    for (const uint64_t pair : touched_) push(pair);
    touched_.clear();
  }

  /// The most frequent pair, of several the one of the lowest ids; false when none stands often enough.
  bool best(int32_t& left, int32_t& right) {
    while (!queue_.empty()) {
      const auto [count, negated] = queue_.top();
      queue_.pop();
      const uint64_t pair = ~negated;
      const int64_t now = counts_[pair];
      if (now != count) {
        if (now >= kLeastCount && now < count) queue_.emplace(now, ~pair);
        continue;
      }
      if (count < kLeastCount) return false;
      left = static_cast<int32_t>(pair >> 32);
      right = static_cast<int32_t>(pair & 0xFFFFFFFFu);
      return true;
    }
    return false;
  }

  void merge(int32_t left, int32_t right, int32_t result) {
    const uint64_t pair = key(left, right);
    std::vector<size_t> where(where_[pair].begin(), where_[pair].end());
    std::sort(where.begin(), where.end());
    for (const size_t w : where) merge_in(w, left, right, result);
    where_.erase(pair);
    counts_.erase(pair);
    for (const uint64_t changed : touched_) push(changed);
    touched_.clear();
  }

 private:
  static uint64_t key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
  }
  void push(uint64_t pair) {
    const auto found = counts_.find(pair);
    if (found != counts_.end() && found->second >= kLeastCount) queue_.emplace(found->second, ~pair);
  }
  void change(size_t word, int32_t left, int32_t right, int64_t by) {
    const uint64_t pair = key(left, right);
    counts_[pair] += by;
    if (by > 0) where_[pair].insert(word);
    touched_.insert(pair);
  }
  void merge_in(size_t w, int32_t left, int32_t right, int32_t result) {
    std::vector<int32_t>& symbols = words_[w].symbols;
    const int64_t count = words_[w].count;
    std::vector<int32_t> out;
    for (size_t i = 0; i < symbols.size();) {
      if (i + 1 < symbols.size() && symbols[i] == left && symbols[i + 1] == right) {
        out.push_back(result);
        i += 2;
      } else {
        out.push_back(symbols[i++]);
      }
    }
    if (out.size() == symbols.size()) return;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) change(w, symbols[i], symbols[i + 1], -count);
    for (size_t i = 0; i + 1 < out.size(); ++i) change(w, out[i], out[i + 1], count);
    symbols = std::move(out);
  }

  std::vector<Word> words_;
  std::unordered_map<uint64_t, int64_t> counts_;
  std::unordered_map<uint64_t, std::unordered_set<size_t>> where_;  // words that hold, or once held, the pair
  std::unordered_set<uint64_t> touched_;
  std::priority_queue<std::pair<int64_t, uint64_t>> queue_;  // (count, ~pair): ties to the lowest ids
};

}  // namespace

std::shared_ptr<const Tokenizer> train(const TokenizerOptions& options, const TextSource& text) {
  check<ConfigError>(
      options.vocabulary_size > 0,
      "[tokenizer] a bpe tokenizer is trained to a size\n  hint: set data.tokenizer.vocab_size, e.g. 8192");
  check<ConfigError>(options.vocabulary_size >= 257 && options.vocabulary_size <= kLargestVocabulary,
                     "[tokenizer] vocab_size = {} for bpe, expected 257 (256 bytes and {}) to {}",
                     options.vocabulary_size, kEnd, kLargestVocabulary);
  BpeModel model;
  std::vector<std::pair<char32_t, int>> order;
  for (int b = 0; b < 256; ++b) order.emplace_back(byte_symbol(static_cast<uint8_t>(b)), b);
  std::sort(order.begin(), order.end());
  std::array<int32_t, 256> id_of{};
  for (const auto& [symbol, byte] : order) {
    id_of[static_cast<size_t>(byte)] = static_cast<int32_t>(model.pieces.size());
    model.pieces.push_back(symbol_text(std::string(1, static_cast<char>(byte))));
  }
  std::vector<Word> words;
  for (const auto& [bytes, count] : count_words(text)) {
    Word word{{}, count};
    for (const char byte : bytes) word.symbols.push_back(id_of[static_cast<uint8_t>(byte)]);
    words.push_back(std::move(word));
  }
  check<DataError>(!words.empty(), "[tokenizer] the training text is empty");

  PairMerger merger(std::move(words));
  std::unordered_map<std::string, int32_t> known;
  for (size_t id = 0; id < model.pieces.size(); ++id) known.emplace(model.pieces[id], static_cast<int32_t>(id));
  int32_t left = 0, right = 0;
  while (static_cast<int64_t>(model.pieces.size()) + 1 < options.vocabulary_size && merger.best(left, right)) {
    const std::string piece = model.pieces[static_cast<size_t>(left)] + model.pieces[static_cast<size_t>(right)];
    const auto [at, fresh] = known.emplace(piece, static_cast<int32_t>(model.pieces.size()));
    model.merges.emplace_back(model.pieces[static_cast<size_t>(left)], model.pieces[static_cast<size_t>(right)]);
    if (fresh) model.pieces.push_back(piece);
    merger.merge(left, right, at->second);
    poll_interrupt();
  }
  check<DataError>(static_cast<int64_t>(model.pieces.size()) + 1 == options.vocabulary_size,
                   "[tokenizer] the training text gives {} pieces, vocab_size = {} asks for more\n  hint: more text or "
                   "a smaller vocabulary",
                   model.pieces.size() + 1, options.vocabulary_size);
  model.added.push_back({static_cast<int32_t>(model.pieces.size()), kEnd, false, false, true});
  model.pieces.emplace_back(kEnd);
  return std::make_shared<BpeTokenizer>(std::move(model), "trained bpe");
}

}  // namespace longhaul::data::bpe
