#include <algorithm>
#include <cmath>
#include <numeric>

#include "data/objectives/kinds.h"
#include "data/objectives/pairs.h"
#include "data/objectives/sentences.h"

namespace longhaul::data {
namespace {

/// Pieces of running text without the sentences that say most of the rest: a mask id stands for each in the source, the
/// target has them in the order of the text (Zhang et al. 2020, section 3.1). There is nothing random in it.
class GapSamples final : public Samples {
 public:
  GapSamples(std::shared_ptr<const TokenSource> source, const SampleShape& shape, const Objective& objective,
             std::shared_ptr<const ExtendedTokenizer> tokenizer)
      : shape_(shape),
        share_(objective.options().gap_share),
        target_length_(target_length_of(objective.options(), shape.sequence_length)),
        start_(objective.start_of_target()),
        tokenizer_(std::move(tokenizer)),
        splitter_(*tokenizer_),
        windows_(std::move(source), shape.sequence_length - 1, shape.cross_documents) {}

  int64_t count() const override { return windows_.count(); }
  int64_t sequence_length() const override { return shape_.sequence_length; }

  Batch read(std::span<const Draw> draws) const override {
    PairBatch batch(start_, tokenizer_->special().pad);
    for (const Draw& draw : draws) {
      auto [source, target] = take_out(windows_.read(draw.sample));
      batch.add(std::move(source), std::move(target));
    }
    return batch.finish(shape_.sequence_length, target_length_);
  }

 private:
  // Which sentences go: the best ones whose tokens have room in the target.
  std::vector<bool> choose(const std::vector<int32_t>& text, const std::vector<TokenRun>& sentences) const {
    std::vector<std::string> texts;
    for (const TokenRun& run : sentences) texts.push_back(splitter_.text(part(text, run)));
    const std::vector<double> scores = sentence_scores(texts);
    std::vector<size_t> order(sentences.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
    auto wanted = std::max<int64_t>(1, std::llround(share_ * static_cast<double>(sentences.size())));
    int64_t room = target_length_ - 1;
    std::vector<bool> chosen(sentences.size(), false);
    for (const size_t i : order) {
      const int64_t size = sentences[i].end - sentences[i].begin;
      if (wanted == 0) break;
      if (size > room) continue;
      chosen[i] = true;
      room -= size;
      --wanted;
    }
    if (room == target_length_ - 1) chosen[order[0]] = true;  // none fits: the front of the best one
    return chosen;
  }

  std::pair<std::vector<int32_t>, std::vector<int32_t>> take_out(const std::vector<int32_t>& text) const {
    const std::vector<TokenRun> sentences = splitter_.split(text);
    const std::vector<bool> chosen = choose(text, sentences);
    std::vector<int32_t> source, target;
    for (size_t i = 0; i < sentences.size(); ++i) {
      const auto tokens = part(text, sentences[i]);
      if (chosen[i]) {
        source.push_back(tokenizer_->sentence_mask());
        target.insert(target.end(), tokens.begin(), tokens.end());
      } else {
        source.insert(source.end(), tokens.begin(), tokens.end());
      }
    }
    if (static_cast<int64_t>(target.size()) > target_length_ - 1) target.resize(static_cast<size_t>(target_length_ - 1));
    source.push_back(tokenizer_->special().end);
    target.push_back(tokenizer_->special().end);
    return {std::move(source), std::move(target)};
  }

  static std::span<const int32_t> part(const std::vector<int32_t>& text, const TokenRun& run) {
    return std::span(text).subspan(static_cast<size_t>(run.begin), static_cast<size_t>(run.end - run.begin));
  }

  SampleShape shape_;
  double share_;
  int64_t target_length_;
  int32_t start_;
  std::shared_ptr<const ExtendedTokenizer> tokenizer_;
  SentenceSplitter splitter_;
  TextWindows windows_;
};

class GapSentences final : public Objective {
 public:
  using Objective::Objective;
  std::shared_ptr<const Samples> samples(const Split& split, const SampleShape& shape) const override {
    return std::make_shared<GapSamples>(split.columns[0], shape, *this, tokenizer_);
  }
};

}  // namespace

ObjectiveInfo gap_sentences_objective() {
  ObjectiveInfo info;
  info.kind = ObjectiveKind::kGapSentences;
  info.name = "gap_sentences";
  info.summary = "the sentences that say most of the rest of a text";
  info.sides = Sides::kEncoderDecoder;
  info.ids = kTwoSidedIds;
  info.shortest = 2;
  info.target_length = [](const ObjectiveOptions&, int64_t sequence_length) {
    return std::max<int64_t>(2, sequence_length / 2);
  };
  info.make = [](const ObjectiveOptions& options, std::shared_ptr<const ExtendedTokenizer> tokenizer) {
    return std::make_unique<GapSentences>(options, std::move(tokenizer));
  };
  return info;
}

}  // namespace longhaul::data
