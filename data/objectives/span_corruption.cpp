#include "data/objectives/kinds.h"
#include "data/objectives/pairs.h"
#include "data/objectives/spans.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

/// Pieces of running text whose input fills the source to its last tokens.
class SpanSamples final : public Samples {
 public:
  SpanSamples(std::shared_ptr<const TokenSource> source, const SampleShape& shape, const Objective& objective,
              std::shared_ptr<const ExtendedTokenizer> tokenizer)
      : shape_(shape),
        options_(objective.options()),
        start_(objective.start_of_target()),
        tokenizer_(std::move(tokenizer)),
        target_length_(target_length_of(options_, shape.sequence_length)),
        windows_(std::move(source), raw_length(), shape.cross_documents) {}

  int64_t count() const override { return windows_.count(); }
  int64_t sequence_length() const override { return shape_.sequence_length; }

  Batch read(std::span<const Draw> draws) const override {
    PairBatch batch(start_, tokenizer_->special().pad);
    for (const Draw& draw : draws) {
      std::vector<int32_t> text = windows_.read(draw.sample);
      // A rest of one token hides it behind nothing: the mark stands for it, and its text is what is written.
      if (text.size() < 2) {
        batch.add({tokenizer_->sentinel(0), tokenizer_->special().end},
                  {tokenizer_->sentinel(0), text[0], tokenizer_->special().end});
        continue;
      }
      const Spans spans = choose_spans(static_cast<int64_t>(text.size()), options_.masked_share, options_.mean_span,
                                       shape_.seed, draw.key);
      Corrupted corrupted = corrupt(text, spans, *tokenizer_);
      batch.add(std::move(corrupted.input), std::move(corrupted.target));
    }
    return batch.finish(shape_.sequence_length, target_length_);
  }

 private:
  // Tokens of a text that fit both sides, and have no more spans than there are sentinels.
  int64_t raw_length() const {
    const double density = options_.masked_share, mean = options_.mean_span;
    int64_t length = longest_raw(shape_.sequence_length, density, mean);
    while (length > 2 && span_sizes(length, density, mean).target > target_length_) --length;
    const int64_t spans = span_sizes(length, density, mean).spans;
    check<ConfigError>(spans <= tokenizer_->sentinels(),
                       "[data] span_corruption hides {} spans in {} tokens, but there are {} sentinels\n"
                       "  hint: data.sentinels: {}, or a larger data.mean_span",
                       spans, length, tokenizer_->sentinels(), spans);
    check<ConfigError>(span_sizes(length, density, mean).target <= target_length_,
                       "[data] data.target_length = {} is too short for one hidden span", target_length_);
    return length;
  }

  SampleShape shape_;
  ObjectiveOptions options_;
  int32_t start_;
  std::shared_ptr<const ExtendedTokenizer> tokenizer_;
  int64_t target_length_;
  TextWindows windows_;
};

class SpanCorruption final : public Objective {
 public:
  using Objective::Objective;
  std::shared_ptr<const Samples> samples(const Split& split, const SampleShape& shape) const override {
    return std::make_shared<SpanSamples>(split.columns[0], shape, *this, tokenizer_);
  }
};

}  // namespace

ObjectiveInfo span_corruption_objective() {
  ObjectiveInfo info;
  info.kind = ObjectiveKind::kSpanCorruption;
  info.name = "span_corruption";
  info.summary = "hidden spans, written behind their marks";
  info.sides = Sides::kEncoderDecoder;
  info.ids = kTwoSidedIds;
  info.shortest = 3;
  info.target_length = [](const ObjectiveOptions& options, int64_t sequence_length) {
    const int64_t raw = longest_raw(sequence_length, options.masked_share, options.mean_span);
    return span_sizes(raw, options.masked_share, options.mean_span).target;
  };
  info.make = [](const ObjectiveOptions& options, std::shared_ptr<const ExtendedTokenizer> tokenizer) {
    return std::make_unique<SpanCorruption>(options, std::move(tokenizer));
  };
  return info;
}

}  // namespace longhaul::data
