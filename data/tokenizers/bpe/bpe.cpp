#include "data/tokenizers/bpe/bpe.h"

#include <algorithm>
#include <limits>
#include <queue>

#include "data/text/unicode.h"
#include "data/text/utf8.h"
#include "data/tokenizers/bpe/split.h"
#include "data/tokenizers/json_file.h"
#include "framework/base/error.h"

namespace longhaul::data::bpe {
namespace {

constexpr size_t kCachedWord = 64;  // bytes of the longest word that is remembered
constexpr size_t kCachedWords = 1 << 16;

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

std::string shown(const std::string& piece) { return piece.size() <= 40 ? piece : piece.substr(0, 40) + "..."; }

}  // namespace

BpeTokenizer::BpeTokenizer(BpeModel model, const std::string& source) : model_(std::move(model)) {
  index_pieces(source);
  index_merges(source);
  index_added(source);
  seal();
}

void BpeTokenizer::index_pieces(const std::string& source) {
  std::vector<bool> is_added(model_.pieces.size(), false);
  for (const AddedToken& token : model_.added) is_added.at(static_cast<size_t>(token.id)) = true;
  byte_id_.fill(-1);
  for (size_t id = 0; id < model_.pieces.size(); ++id) {
    const std::string& piece = model_.pieces[id];
    check<DataError>(!piece.empty(), "[tokenizer] {}: the piece of id {} is empty", source, id);
    check<DataError>(piece.size() <= kLongestPiece,
                     "[tokenizer] {}: the piece of id {} has {} bytes, at most {} are read", source, id, piece.size(),
                     kLongestPiece);
    const auto [first, fresh] = id_of_.emplace(piece, static_cast<int32_t>(id));
    check<DataError>(fresh, "[tokenizer] {}: piece \"{}\" has two ids, {} and {}", source, shown(piece), first->second,
                     id);
    const auto bytes = bytes_of_symbols(piece);
    check<DataError>(is_added[id] || bytes,
                     "[tokenizer] {}: piece \"{}\" (id {}) holds a character that stands for no byte: this is no "
                     "byte-level vocabulary",
                     source, shown(piece), id);
    bytes_.push_back(is_added[id] ? piece : *bytes);
    if (is_added[id]) continue;
    if (bytes_.back().size() == 1) byte_id_[static_cast<uint8_t>(bytes_.back()[0])] = static_cast<int32_t>(id);
    id_of_word_.emplace(bytes_.back(), static_cast<int32_t>(id));
  }
  if (std::find(byte_id_.begin(), byte_id_.end(), -1) != byte_id_.end()) fidelity_ = Fidelity::kLossy;
  if (model_.unknown.empty()) return;
  const auto found = id_of_.find(model_.unknown);
  check<DataError>(found != id_of_.end(), "[tokenizer] {}: the unknown piece \"{}\" is not in the vocabulary", source,
                   shown(model_.unknown));
  special_.unknown = found->second;
}

void BpeTokenizer::index_merges(const std::string& source) {
  std::vector<bool> made(model_.pieces.size(), false);  // can be the part of a merge
  for (const int32_t id : byte_id_) {
    if (id >= 0) made[static_cast<size_t>(id)] = true;
  }
  for (size_t rank = 0; rank < model_.merges.size(); ++rank) {
    const auto& [left, right] = model_.merges[rank];
    int32_t ids[3];
    const std::string* const names[3] = {&left, &right, nullptr};
    for (int side = 0; side < 2; ++side) {
      const auto found = id_of_.find(*names[side]);
      check<DataError>(found != id_of_.end(), "[tokenizer] {}: merge {} joins \"{}\", which is no piece", source, rank,
                       shown(*names[side]));
      check<DataError>(
          made[static_cast<size_t>(found->second)],
          "[tokenizer] {}: merge {} joins \"{}\", which no merge before it makes (a cycle, or a wrong order)", source,
          rank, shown(*names[side]));
      ids[side] = found->second;
    }
    const auto found = id_of_.find(left + right);
    check<DataError>(found != id_of_.end(), "[tokenizer] {}: merge {} makes \"{}\", which is no piece", source, rank,
                     shown(left + right));
    ids[2] = found->second;
    made[static_cast<size_t>(ids[2])] = true;
    const bool fresh = merges_.emplace(pair_key(ids[0], ids[1]), Merge{static_cast<int32_t>(rank), ids[2]}).second;
    check<DataError>(fresh, "[tokenizer] {}: the merge of \"{}\" and \"{}\" stands twice", source, shown(left),
                     shown(right));
  }
}

void BpeTokenizer::index_added(const std::string& source) {
  silent_.resize(model_.pieces.size(), false);
  const auto first_of = [this](std::initializer_list<const char*> names) -> int32_t {
    for (const char* name : names) {
      for (const AddedToken& token : model_.added) {
        if (token.special && token.content == name) return token.id;
      }
    }
    return -1;
  };
  for (size_t i = 0; i < model_.added.size(); ++i) {
    const AddedToken& token = model_.added[i];
    check<DataError>(model_.pieces[static_cast<size_t>(token.id)] == token.content,
                     "[tokenizer] {}: added token \"{}\" has id {}, which is \"{}\"", source, shown(token.content),
                     token.id, shown(model_.pieces[static_cast<size_t>(token.id)]));
    silent_[static_cast<size_t>(token.id)] = token.special;
    added_begin_[static_cast<uint8_t>(token.content[0])] = true;
    longest_added_ = std::max(longest_added_, token.content.size());
    by_length_.push_back(i);
    if (!token.special && (token.left_strip || token.right_strip)) fidelity_ = std::max(fidelity_, Fidelity::kWords);
  }
  std::stable_sort(by_length_.begin(), by_length_.end(), [this](size_t a, size_t b) {
    return model_.added[a].content.size() > model_.added[b].content.size();
  });
  special_.end = first_of({"<|endoftext|>", "</s>", "<eos>", "<|end_of_text|>"});
  special_.begin = first_of({"<s>", "<bos>", "<|begin_of_text|>"});
  special_.pad = first_of({"<pad>", "<|pad|>"});
  special_.mask = first_of({"<mask>"});
  if (special_.unknown < 0) special_.unknown = first_of({"<unk>"});
}

/// The first added token that begins in [from, limit); of several at one place the longest.
BpeTokenizer::Found BpeTokenizer::find_added(std::string_view text, size_t from, size_t limit) const {
  if (model_.added.empty()) return {limit, limit, nullptr};
  for (size_t at = from; at < limit; ++at) {
    if (!added_begin_[static_cast<uint8_t>(text[at])]) continue;
    for (const size_t i : by_length_) {
      const AddedToken& token = model_.added[i];
      if (text.substr(at).starts_with(token.content)) return {at, at + token.content.size(), &token};
    }
  }
  return {limit, limit, nullptr};
}

size_t BpeTokenizer::encode_front(std::string_view text, bool last, EncodedText& out) const {
  const size_t hold = longest_added_ > 0 ? longest_added_ - 1 : 0;  // the front of a mark may stand at the end
  const size_t limit = last ? text.size() : text.size() - std::min(hold, text.size());
  size_t at = 0;
  while (at < limit) {
    Found mark = find_added(text, at, limit);
    size_t gap_end = mark.begin;
    if (mark.token && mark.token->left_strip) {
      while (gap_end > at) {
        size_t begin = gap_end - 1;
        while (begin > at && (static_cast<uint8_t>(text[begin]) & 0xC0u) == 0x80u) --begin;
        const Utf8Step step = utf8_step(text, begin);
        if (step.fault != Utf8Fault::kNone || !is_space(step.code)) break;
        gap_end = begin;
      }
    }
    const std::string_view gap = text.substr(0, gap_end);
    while (at < gap_end) {
      const auto end = next_word(gap, at, last || mark.token);
      if (!end) return at;
      encode_word(text.substr(at, *end - at), out);
      at = *end;
    }
    if (!mark.token) break;
    if (mark.token->right_strip) {
      while (mark.end < text.size()) {
        const Utf8Step step = utf8_step(text, mark.end);
        if (step.fault == Utf8Fault::kCutAtEnd && !last) return at;
        if (step.fault != Utf8Fault::kNone || !is_space(step.code)) break;
        mark.end += static_cast<size_t>(step.length);
      }
      if (mark.end == text.size() && !last) return at;
    }
    out.ids.push_back(mark.token->id);
    out.unknown += mark.token->special;
    at = mark.end;
  }
  return at;
}

void BpeTokenizer::encode_word(std::string_view word, EncodedText& out) const {
  const bool remember = word.size() <= kCachedWord;
  const auto append = [&out, this](const std::vector<int32_t>& ids) {
    for (const int32_t id : ids) {
      check<DataError>(id >= 0, "[tokenizer] a byte is not in the vocabulary, which has no unknown piece");
      out.ids.push_back(id);
      out.unknown += id == special_.unknown;
    }
  };
  if (remember) {
    const std::lock_guard lock(cache_mutex_);
    const auto found = cache_.find(std::string(word));
    if (found != cache_.end()) {
      append(found->second);
      return;
    }
  }
  std::vector<int32_t> ids = merged(word);
  append(ids);
  if (!remember) return;
  const std::lock_guard lock(cache_mutex_);
  if (cache_.size() >= kCachedWords) cache_.clear();
  cache_.emplace(word, std::move(ids));
}

std::vector<int32_t> BpeTokenizer::merged(std::string_view word) const {
  if (model_.ignore_merges) {
    if (const auto found = id_of_word_.find(std::string(word)); found != id_of_word_.end()) return {found->second};
  }
  const auto n = static_cast<int32_t>(word.size());
  std::vector<int32_t> symbol(word.size()), previous(word.size()), next(word.size());
  for (int32_t i = 0; i < n; ++i) {
    const int32_t id = byte_id_[static_cast<uint8_t>(word[static_cast<size_t>(i)])];
    symbol[static_cast<size_t>(i)] = id >= 0 ? id : special_.unknown;
    previous[static_cast<size_t>(i)] = i - 1;
    next[static_cast<size_t>(i)] = i + 1 < n ? i + 1 : -1;
  }
  struct Candidate {
    int32_t rank, at, left, right, result;
    bool operator>(const Candidate& o) const { return rank != o.rank ? rank > o.rank : at > o.at; }
  };
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](int32_t at) {
    if (at < 0 || next[static_cast<size_t>(at)] < 0) return;
    const int32_t left = symbol[static_cast<size_t>(at)];
    const int32_t right = symbol[static_cast<size_t>(next[static_cast<size_t>(at)])];
    const auto found = merges_.find(pair_key(left, right));
    if (found != merges_.end()) queue.push({found->second.rank, at, left, right, found->second.result});
  };
  for (int32_t i = 0; i < n; ++i) offer(i);
  constexpr int32_t kGone = std::numeric_limits<int32_t>::min();
  while (!queue.empty()) {
    const Candidate c = queue.top();
    queue.pop();
    const auto at = static_cast<size_t>(c.at);
    if (symbol[at] != c.left || next[at] < 0 || symbol[static_cast<size_t>(next[at])] != c.right) continue;  // outdated
    const auto gone = static_cast<size_t>(next[at]);
    symbol[at] = c.result;
    symbol[gone] = kGone;
    next[at] = next[gone];
    if (next[at] >= 0) previous[static_cast<size_t>(next[at])] = c.at;
    offer(previous[at]);
    offer(c.at);
  }
  std::vector<int32_t> ids;
  for (int32_t i = n > 0 ? 0 : -1; i >= 0; i = next[static_cast<size_t>(i)])
    ids.push_back(symbol[static_cast<size_t>(i)]);
  return ids;
}

std::string BpeTokenizer::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) {
    check<DataError>(id >= 0 && id < vocabulary_size(), "[tokenizer] id {} in a vocabulary of {}", id,
                     vocabulary_size());
    if (!silent_[static_cast<size_t>(id)]) text += bytes_[static_cast<size_t>(id)];
  }
  return text;
}

std::string BpeTokenizer::piece(int32_t id) const {
  check<DataError>(id >= 0 && id < vocabulary_size(), "[tokenizer] id {} in a vocabulary of {}", id, vocabulary_size());
  std::string out;
  const std::string& bytes = bytes_[static_cast<size_t>(id)];
  for (size_t at = 0; at < bytes.size();) {
    const Utf8Step step = utf8_step(bytes, at);
    for (int i = 0; i < step.length; ++i, ++at) {
      if (step.fault == Utf8Fault::kNone) {
        out.push_back(bytes[at]);
      } else {
        out += fmt::format("<0x{:02X}>", static_cast<uint8_t>(bytes[at]));
      }
    }
  }
  return out;
}

}  // namespace longhaul::data::bpe
