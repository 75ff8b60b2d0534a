// defines: SmallModel, small_model, TextInMemory, text_in_memory
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "models/local/options.h"
#include "models/model.h"

namespace longhaul {

struct SmallModel {
  std::string family = "transformer";
  models::Positions positions = models::Positions::kRotary;
  int64_t max_positions = 64;
  int64_t window = 5;  // of family local
  int64_t vocabulary = 256;
  double init_std = 0.3;  // large: predictions differ clearly from position to position
};

/// A decoder of two layers of width 16 with drawn weights.
inline std::unique_ptr<models::LanguageModel> small_model(const SmallModel& wanted = {},
                                                          Device device = Device::cpu()) {
  const models::FamilyInfo* info = models::find_family(wanted.family);
  auto options = info->make();
  models::BodyOptions& body = options->body;
  body.dim = 16, body.layers = 2, body.heads = 2, body.feedforward = 24;
  body.positions = wanted.positions, body.max_positions = wanted.max_positions, body.init_std = wanted.init_std;
  if (auto* local = dynamic_cast<models::LocalOptions*>(options.get())) local->window = wanted.window;
  info->resolve(*options, {.sequence_length = wanted.max_positions, .form = models::Form::kDecoder});
  models::ModelSpec spec;
  spec.family = wanted.family;
  spec.options = options;
  spec.vocabulary = wanted.vocabulary;
  return models::make_model(spec, 7, device);
}

/// A split of byte documents that lies in memory.
class TextInMemory final : public data::TokenSource {
 public:
  explicit TextInMemory(const std::vector<std::string>& documents) : tokenizer_(data::load_tokenizer({})) {
    for (const std::string& text : documents) {
      const auto begin = static_cast<int64_t>(tokens_.size());
      for (const int32_t id : tokenizer_->encode(text)) tokens_.push_back(id);
      ranges_.push_back({begin, static_cast<int64_t>(tokens_.size())});
      counts_.push_back(count(text));
      total_ += counts_.back();
    }
  }
  int64_t tokens() const override { return static_cast<int64_t>(tokens_.size()); }
  int64_t documents() const override { return static_cast<int64_t>(ranges_.size()); }
  data::DocumentRange document(int64_t index) const override { return ranges_.at(static_cast<size_t>(index)); }
  int64_t document_of(int64_t token) const override {
    int64_t index = 0;
    while (token >= document(index).end) ++index;
    return index;
  }
  data::TextCounts counts(int64_t document) const override { return counts_.at(static_cast<size_t>(document)); }
  data::TextCounts total() const override { return total_; }
  void read(int64_t begin, std::span<int32_t> into) const override {
    for (size_t i = 0; i < into.size(); ++i) into[i] = tokens_.at(static_cast<size_t>(begin) + i);
  }
  const data::Tokenizer& tokenizer() const override { return *tokenizer_; }
  bool ends_documents() const override { return false; }
  data::Fidelity fidelity() const override { return data::Fidelity::kExact; }
  int64_t unknown_tokens() const override { return 0; }
  int64_t replaced_bytes() const override { return 0; }
  const std::vector<data::FileMark>& files() const override { return files_; }
  const std::string& hash_hex() const override { return hash_; }

 private:
  static data::TextCounts count(const std::string& text) {
    data::TextCounts counts{.bytes = static_cast<int64_t>(text.size())};
    bool inside = false;
    for (const char c : text) {
      counts.characters += (static_cast<uint8_t>(c) & 0xC0) != 0x80;
      counts.words += !inside && c != ' ';
      inside = c != ' ';
    }
    return counts;
  }

  std::shared_ptr<const data::Tokenizer> tokenizer_;
  std::vector<int32_t> tokens_;
  std::vector<data::DocumentRange> ranges_;
  std::vector<data::TextCounts> counts_;
  data::TextCounts total_;
  std::vector<data::FileMark> files_;
  std::string hash_ = "none";
};

inline std::shared_ptr<const data::TokenSource> text_in_memory(const std::vector<std::string>& documents) {
  return std::make_shared<TextInMemory>(documents);
}

}  // namespace longhaul
