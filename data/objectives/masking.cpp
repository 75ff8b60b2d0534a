#include "data/objectives/masking.h"

#include <algorithm>
#include <cmath>

#include "data/objectives/rows.h"
#include "data/text/unicode.h"
#include "data/text/utf8.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

constexpr double kToMask = 0.8, kToRandom = 0.1;
constexpr double kSpanEnd = 0.2;  // p of the geometric lengths
constexpr int64_t kLongestSpan = 10;

// What a random word of a row is for.
enum : uint32_t { kOrder, kAction, kReplacement, kSpanStart, kSpanLength };

RandomStream stream_of(uint64_t seed, uint64_t key, uint32_t use) {
  return {.seed = seed, .step = key, .layer = use, .purpose = RandomPurpose::kMasking};
}

/// Whether the piece starts with a blank, and whether it is nothing but blanks; U+2581 is one.
std::pair<bool, bool> blanks_of(const std::string& piece) {
  bool first = false, all = !piece.empty();
  for (size_t at = 0; at < piece.size();) {
    const Utf8Step step = utf8_step(piece, at);
    const bool blank = step.fault == Utf8Fault::kNone && (is_space(step.code) || step.code == 0x2581);
    if (at == 0) first = blank;
    all = all && blank;
    at += static_cast<size_t>(step.length);
  }
  return {first, all};
}

/// A geometric length from a uniform number in [0, 1).
int64_t span_length(float uniform) {
  const double length = 1 + std::floor(std::log1p(-static_cast<double>(uniform)) / std::log1p(-kSpanEnd));
  return std::min<int64_t>(kLongestSpan, static_cast<int64_t>(length));
}

}  // namespace

int64_t masked_count(double share, int64_t ordinary) { return std::max<int64_t>(1, std::llround(share * static_cast<double>(ordinary))); }

Masker::Masker(Masking masking, double share, std::shared_ptr<const ExtendedTokenizer> tokenizer)
    : masking_(masking), share_(share), tokenizer_(std::move(tokenizer)) {
  const auto size = static_cast<int32_t>(tokenizer_->vocabulary_size());
  const bool words = tokenizer_->kind() == TokenizerKind::kWord;  // each token is one
  for (int32_t id = 0; id < size; ++id) {
    if (tokenizer_->ordinary(id)) ordinary_.push_back(id);
    const auto [first, all] = blanks_of(tokenizer_->piece(id));
    starts_blank_.push_back(first || words);
    all_blank_.push_back(all);
  }
  check<InternalError>(!ordinary_.empty(), "a vocabulary without text");
}

Masked Masker::apply(std::span<const int32_t> text, uint64_t seed, uint64_t key) const {
  Masked out{{text.begin(), text.end()}, std::vector<int32_t>(text.size(), -1)};
  std::vector<int64_t> places;
  for (size_t i = 0; i < text.size(); ++i) {
    if (tokenizer_->ordinary(text[i])) places.push_back(static_cast<int64_t>(i));
  }
  if (places.empty()) return out;
  const int64_t number = masked_count(share_, static_cast<int64_t>(places.size()));
  Groups groups;
  switch (masking_) {
    case Masking::kToken:
      groups = choose_tokens(places, number, seed, key);
      break;
    case Masking::kWholeWord:
      groups = choose_words(text, number, seed, key);
      break;
    case Masking::kSpan:
      groups = choose_spans(text, places, number, seed, key);
      break;
  }
  const RandomStream action = stream_of(seed, key, kAction), replacement = stream_of(seed, key, kReplacement);
  for (const auto& group : groups) {
    const bool together = masking_ == Masking::kSpan;
    for (const int64_t at : group) {
      const auto i = static_cast<size_t>(at);
      out.targets[i] = text[i];
      const float chance = action.uniform(static_cast<uint64_t>(together ? group[0] : at));
      if (chance < kToMask) {
        out.tokens[i] = tokenizer_->special().mask;
      } else if (chance < kToMask + kToRandom) {
        const auto pick = below(replacement.word(static_cast<uint64_t>(at)), static_cast<int64_t>(ordinary_.size()));
        out.tokens[i] = ordinary_[static_cast<size_t>(pick)];
      }
    }
  }
  return out;
}

Masker::Groups Masker::choose_tokens(std::span<const int64_t> places, int64_t number, uint64_t seed,
                                     uint64_t key) const {
  const auto order = random_order(stream_of(seed, key, kOrder), static_cast<int64_t>(places.size()));
  Groups groups;
  for (int64_t i = 0; i < number; ++i) groups.push_back({places[static_cast<size_t>(order[static_cast<size_t>(i)])]});
  return groups;
}

Masker::Groups Masker::choose_words(std::span<const int32_t> text, int64_t number, uint64_t seed, uint64_t key) const {
  Groups words;
  bool open = false, after_blank = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (!tokenizer_->ordinary(text[i])) {
      open = false;
      continue;
    }
    const auto id = static_cast<size_t>(text[i]);
    if (!open || starts_blank_[id] || after_blank) words.emplace_back();
    words.back().push_back(static_cast<int64_t>(i));
    open = true;
    after_blank = all_blank_[id];
  }
  Groups chosen;
  int64_t left = number;
  for (const int64_t w : random_order(stream_of(seed, key, kOrder), static_cast<int64_t>(words.size()))) {
    auto& word = words[static_cast<size_t>(w)];
    const auto size = static_cast<int64_t>(word.size());
    if (size > left) continue;
    left -= size;
    chosen.push_back(std::move(word));
    if (left <= 0) break;
  }
  if (chosen.empty()) {  // every word is longer than the number: the shortest one
    chosen.push_back(*std::min_element(words.begin(), words.end(),
                                       [](const auto& a, const auto& b) { return a.size() < b.size(); }));
  }
  return chosen;
}

Masker::Groups Masker::choose_spans(std::span<const int32_t> text, std::span<const int64_t> places, int64_t number,
                                    uint64_t seed, uint64_t key) const {
  const RandomStream starts = stream_of(seed, key, kSpanStart), lengths = stream_of(seed, key, kSpanLength);
  std::vector<bool> taken(text.size(), false);
  Groups spans;
  int64_t left = number;
  const int64_t tries = 16 * number + 64;  // starts inside earlier spans are drawn again
  for (int64_t draw = 0; draw < tries && left > 0; ++draw) {
    const auto index = static_cast<uint64_t>(draw);
    const int64_t first = places[static_cast<size_t>(below(starts.word(index), static_cast<int64_t>(places.size())))];
    const int64_t length = std::min(left, span_length(lengths.uniform(index)));
    std::vector<int64_t> span;
    for (int64_t at = first; at < first + length && at < static_cast<int64_t>(text.size()); ++at) {
      if (taken[static_cast<size_t>(at)] || !tokenizer_->ordinary(text[static_cast<size_t>(at)])) break;
      span.push_back(at);
    }
    if (span.empty()) continue;
    for (const int64_t at : span) taken[static_cast<size_t>(at)] = true;
    left -= static_cast<int64_t>(span.size());
    spans.push_back(std::move(span));
  }
  for (size_t i = 0; i < places.size() && left > 0; ++i) {  // shares near 1
    if (taken[static_cast<size_t>(places[i])]) continue;
    spans.push_back({places[i]});
    --left;
  }
  return spans;
}

}  // namespace longhaul::data
