#include <sentencepiece_trainer.h>

#include <unordered_map>

#include "data/text/utf8.h"
#include "data/tokenizers/json_file.h"
#include "data/tokenizers/sentencepiece/sentencepiece.h"
#include "framework/base/child.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

constexpr size_t kSentence = 4096;  // bytes; the library leaves out longer ones, so lines are cut before
// The sums of the training depend on how the sentences are dealt to threads, so their number is part of the result.
constexpr const char* kThreads = "4";

/// Characters the library keeps for itself: a sentence with one of them would be left out.
bool reserved(char32_t code) { return code == 0 || code == '\t' || code == 0x2581 || code == 0x2585; }

class Sentences final : public sentencepiece::SentenceIterator {
 public:
  explicit Sentences(const TextSource& text) {
    text([this](std::string_view piece) {
      if (piece.empty()) flush();
      for (size_t at = 0; at < piece.size();) {
        const Utf8Step step = utf8_step(piece, at);
        check<DataError>(step.fault == Utf8Fault::kNone, "[tokenizer] invalid UTF-8 in the training text: {}",
                         name_of(step.fault));
        if (step.code == '\n' || reserved(step.code)) {
          flush();
        } else {
          line_.append(piece.substr(at, static_cast<size_t>(step.length)));
          if (line_.size() >= kSentence - 4 || (line_.size() >= kSentence / 2 && step.code == ' ')) flush();
        }
        at += static_cast<size_t>(step.length);
      }
    });
    flush();
    check<DataError>(!all_.empty(), "[tokenizer] the training text is empty");
  }
  bool done() const override { return at_ >= all_.size(); }
  void Next() override { ++at_; }
  const std::string& value() const override { return all_[at_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  void flush() {
    if (!line_.empty()) all_.push_back(std::move(line_));
    line_.clear();
  }
  std::vector<std::string> all_;
  std::string line_;
  size_t at_ = 0;
};

}  // namespace

std::shared_ptr<const Tokenizer> train_sentencepiece(const TokenizerOptions& options, const TextSource& text) {
  check<ConfigError>(
      options.vocabulary_size > 0,
      "[tokenizer] a sentencepiece tokenizer is trained to a size\n  hint: set data.tokenizer.vocab_size, e.g. 8192");
  check<ConfigError>(options.vocabulary_size > 261 && options.vocabulary_size <= kLargestVocabulary,
                     "[tokenizer] vocab_size = {} for sentencepiece, expected 262 (256 bytes, 4 marks, the line feed "
                     "and a piece) to {}",
                     options.vocabulary_size, kLargestVocabulary);
  check<ConfigError>(options.character_coverage > 0 && options.character_coverage <= 1,
                     "[tokenizer] character_coverage = {}, expected above 0 to 1", options.character_coverage);
  Sentences sentences(text);
  const std::unordered_map<std::string, std::string> settings = {
      {"model_type", options.model == SentencePieceModel::kUnigram ? "unigram" : "bpe"},
      {"vocab_size", std::to_string(options.vocabulary_size)},
      {"character_coverage", fmt::format("{}", options.character_coverage)},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"add_dummy_prefix", "false"},
      {"byte_fallback", "true"},
      {"allow_whitespace_only_pieces", "true"},
      {"split_digits", "true"},
      {"user_defined_symbols", "\n"},
      {"pad_id", "3"},
      {"num_threads", kThreads},
      {"shuffle_input_sentence", "false"},
      {"max_sentence_length", std::to_string(kSentence)},
      {"minloglevel", "2"},
  };
  // The library cannot be interrupted and ends the process for some faults, so it works in one of its own.
  std::string model = run_in_child("training a sentencepiece tokenizer", [&] {
    std::string trained;
    try {
      const auto status = sentencepiece::SentencePieceTrainer::Train(settings, &sentences, &trained);
      check<DataError>(status.ok(), "[tokenizer] training failed: {}\n  hint: vocab_size must hold every character of the text, and "
                       "the text must be long enough to fill it",
                       status.ToString());
    } catch (const Error&) {
      throw;
    } catch (const std::exception& error) {
      fail<DataError>("[tokenizer] training failed: {}", error.what());
    }
    return trained;
  });
  return std::make_shared<SentencePieceTokenizer>(std::move(model), "trained sentencepiece");
}

}  // namespace longhaul::data
