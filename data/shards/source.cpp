#include "data/shards/source.h"

#include <algorithm>

#include "framework/base/error.h"

namespace longhaul::data {
namespace {

class Shards final : public TokenSource {
 public:
  Shards(std::vector<ShardFile> shards, std::shared_ptr<const Tokenizer> tokenizer, SplitFacts facts)
      : shards_(std::move(shards)), tokenizer_(std::move(tokenizer)), facts_(std::move(facts)) {
    check<InternalError>(!shards_.empty(), "a split without shards");
    ends_ = shards_[0].header().flags & kShardEndsDocuments;
    Sha256 hash;
    for (const ShardFile& shard : shards_) {
      check_fits(shard);
      hash.update(encode_header(shard.header()));
      first_token_.push_back(first_token_.back() + shard.tokens());
      first_document_.push_back(first_document_.back() + shard.documents());
      total_ +=
          {static_cast<int64_t>(shard.header().source_bytes), static_cast<int64_t>(shard.header().source_characters),
           static_cast<int64_t>(shard.header().source_words)};
    }
    hash_ = hash.finish_hex();
  }

  int64_t tokens() const override { return first_token_.back(); }
  int64_t documents() const override { return first_document_.back(); }
  DocumentRange document(int64_t index) const override {
    const size_t s = shard_of(first_document_, index);
    const int64_t local = index - first_document_[s];
    return {first_token_[s] + shards_[s].document_begin(local), first_token_[s] + shards_[s].document_begin(local + 1)};
  }
  int64_t document_of(int64_t token) const override {
    const size_t s = shard_of(first_token_, token);
    return first_document_[s] + shards_[s].document_of(token - first_token_[s]);
  }
  TextCounts counts(int64_t document) const override {
    const size_t s = shard_of(first_document_, document);
    return shards_[s].counts(document - first_document_[s]);
  }
  TextCounts total() const override { return total_; }

  void read(int64_t begin, std::span<int32_t> into) const override {
    check<InternalError>(begin >= 0 && begin + static_cast<int64_t>(into.size()) <= tokens(), "tokens {} to {} of {}",
                         begin, begin + static_cast<int64_t>(into.size()), tokens());
    while (!into.empty()) {
      const size_t s = shard_of(first_token_, begin);
      const auto count = static_cast<size_t>(std::min<int64_t>(into.size(), first_token_[s + 1] - begin));
      shards_[s].read(begin - first_token_[s], into.first(count), tokenizer_->vocabulary_size());
      into = into.subspan(count);
      begin += static_cast<int64_t>(count);
    }
  }

  const Tokenizer& tokenizer() const override { return *tokenizer_; }
  bool ends_documents() const override { return ends_; }
  Fidelity fidelity() const override { return facts_.fidelity; }
  int64_t unknown_tokens() const override { return facts_.unknown_tokens; }
  int64_t replaced_bytes() const override { return facts_.replaced_bytes; }
  const std::vector<FileMark>& files() const override { return facts_.files; }
  const std::string& hash_hex() const override { return hash_; }

 private:
  void check_fits(const ShardFile& shard) const {
    const ShardHeader& h = shard.header();
    check<DataError>(h.tokenizer == tokenizer_->hash(),
                     "[data] {} was made with another tokenizer: {}..., the one in use is {}... ({}, {} ids)\n"
                     "  hint: load the tokenizer it was made with (data.tokenizer.path)",
                     shard.path(), to_hex(h.tokenizer).substr(0, 12), tokenizer_->hash_hex().substr(0, 12),
                     name_of(tokenizer_->kind()), tokenizer_->vocabulary_size());
    check<DataError>(ends_ == ((h.flags & kShardEndsDocuments) != 0) && (!ends_ || h.eos == tokenizer_->special().end),
                     "[data] {}: end id {}, the tokenizer's is {}", shard.path(), h.eos, tokenizer_->special().end);
  }
  /// The part of rising `firsts` that holds `index`; parts may be empty.
  static size_t shard_of(const std::vector<int64_t>& firsts, int64_t index) {
    return static_cast<size_t>(std::upper_bound(firsts.begin(), firsts.end(), index) - firsts.begin() - 1);
  }

  std::vector<ShardFile> shards_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  SplitFacts facts_;
  std::vector<int64_t> first_token_{0};
  std::vector<int64_t> first_document_{0};
  TextCounts total_;
  std::string hash_;
  bool ends_ = false;
};

}  // namespace

std::shared_ptr<const TokenSource> open_shards(std::vector<ShardFile> shards,
                                               std::shared_ptr<const Tokenizer> tokenizer, SplitFacts facts) {
  return std::make_shared<Shards>(std::move(shards), std::move(tokenizer), std::move(facts));
}

}  // namespace longhaul::data
