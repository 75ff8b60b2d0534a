#include "data/tokenizers/extended.h"

#include <algorithm>
#include <unordered_map>

#include "framework/base/error.h"

namespace longhaul::data {
namespace {

/// Ids of the pieces with these names, -1 where there is none.
std::vector<int32_t> find_pieces(const Tokenizer& tokenizer, const std::vector<std::string>& names) {
  std::unordered_map<std::string, size_t> wanted;
  for (size_t i = 0; i < names.size(); ++i) wanted.emplace(names[i], i);
  std::vector<int32_t> ids(names.size(), -1);
  // Bytes and characters have no piece of more than one character besides their special ones.
  if (tokenizer.kind() == TokenizerKind::kByte || tokenizer.kind() == TokenizerKind::kChar) return ids;
  for (int32_t id = 0; id < tokenizer.vocabulary_size(); ++id) {
    if (const auto found = wanted.find(tokenizer.piece(id)); found != wanted.end()) ids[found->second] = id;
  }
  return ids;
}

}  // namespace

ExtendedTokenizer::ExtendedTokenizer(std::shared_ptr<const Tokenizer> inner, const WantedIds& wanted)
    : inner_(std::move(inner)), special_(inner_->special()) {
  std::vector<std::string> names = {"[CLS]", "[SEP]", "<mask_1>"};
  for (int64_t i = 0; i < wanted.sentinels; ++i) names.push_back(fmt::format("<extra_id_{}>", i));
  const std::vector<int32_t> known = find_pieces(*inner_, names);
  if (wanted.rows && known[0] >= 0 && known[1] >= 0) special_.begin = known[0], special_.end = known[1];
  if (wanted.pad && special_.pad < 0) special_.pad = add("<pad>");
  if (wanted.begin && special_.begin < 0) special_.begin = add("<begin>");
  if (wanted.end && special_.end < 0) special_.end = add("<end>");
  if (wanted.mask && special_.mask < 0) special_.mask = known[2] >= 0 ? known[2] : add("<mask>");
  sentence_mask_ = known[2] >= 0 ? known[2] : special_.mask;
  sentinels_.assign(known.begin() + 3, known.end());
  if (std::find(sentinels_.begin(), sentinels_.end(), -1) != sentinels_.end()) {
    // All or none: a vocabulary with some of them would give two orders.
    for (auto at = sentinels_.rbegin(); at != sentinels_.rend(); ++at) {
      *at = add(fmt::format("<extra_id_{}>", sentinels_.rend() - at - 1));
    }
  }
  ordinary_.assign(static_cast<size_t>(vocabulary_size()), true);
  std::fill(ordinary_.begin() + inner_->vocabulary_size(), ordinary_.end(), false);
  std::vector<int32_t> none = {special_.begin, special_.end,  special_.pad, special_.mask, special_.unknown,
                               known[0],       known[1],      known[2]};
  const SpecialIds own = inner_->special();
  none.insert(none.end(), {own.begin, own.end});
  none.insert(none.end(), sentinels_.begin(), sentinels_.end());
  for (const int32_t id : none) {
    if (id >= 0) ordinary_[static_cast<size_t>(id)] = false;
  }
  seal();
}

int32_t ExtendedTokenizer::add(std::string name) {
  names_.push_back(std::move(name));
  return static_cast<int32_t>(vocabulary_size() - 1);
}

std::string ExtendedTokenizer::decode(std::span<const int32_t> ids) const {
  std::vector<int32_t> own;
  for (const int32_t id : ids) {
    check<DataError>(id >= 0 && id < vocabulary_size(), "[tokenizer] id {} in a vocabulary of {}", id,
                     vocabulary_size());
    if (id < inner_->vocabulary_size()) own.push_back(id);
  }
  return inner_->decode(own);
}

std::string ExtendedTokenizer::piece(int32_t id) const {
  check<DataError>(id >= 0 && id < vocabulary_size(), "[tokenizer] id {} in a vocabulary of {}", id, vocabulary_size());
  const int64_t added = id - inner_->vocabulary_size();
  return added < 0 ? inner_->piece(id) : names_[static_cast<size_t>(added)];
}

std::shared_ptr<const ExtendedTokenizer> extend(std::shared_ptr<const Tokenizer> tokenizer, const WantedIds& wanted) {
  return std::make_shared<ExtendedTokenizer>(std::move(tokenizer), wanted);
}

int64_t planned_vocabulary(const TokenizerOptions& options, const WantedIds& wanted) {
  // As the trainers make them: byte-level BPE has an end id, SentencePiece begin, end and pad.
  const bool pieces = options.kind == TokenizerKind::kSentencePiece;
  int64_t added = wanted.sentinels + (wanted.mask ? 1 : 0);
  added += wanted.pad && !pieces;
  added += wanted.begin && !pieces;
  added += wanted.end && !pieces && options.kind != TokenizerKind::kBpe;
  return options.vocabulary_size + added;
}

}  // namespace longhaul::data
