#include "data/objectives/kinds.h"
#include "data/objectives/masking.h"
#include "data/objectives/rows.h"

namespace longhaul::data {
namespace {

constexpr int64_t kMarks = 2;  // begin and end of a row

/// Rows of begin, up to N - 2 tokens of running text, end.
class MaskedSamples final : public Samples {
 public:
  MaskedSamples(std::shared_ptr<const TokenSource> source, const SampleShape& shape, const ObjectiveOptions& options,
                const std::shared_ptr<const ExtendedTokenizer>& tokenizer)
      : shape_(shape),
        ids_(tokenizer->special()),
        windows_(std::move(source), shape.sequence_length - kMarks, shape.cross_documents),
        masker_(options.masking, options.masked_share, tokenizer) {}

  int64_t count() const override { return windows_.count(); }
  int64_t sequence_length() const override { return shape_.sequence_length; }

  Batch read(std::span<const Draw> draws) const override {
    RowTable tokens, targets;
    Batch batch;
    for (const Draw& draw : draws) {
      Masked masked = masker_.apply(windows_.read(draw.sample), shape_.seed, draw.key);
      masked.tokens.insert(masked.tokens.begin(), ids_.begin);
      masked.tokens.push_back(ids_.end);
      masked.targets.insert(masked.targets.begin(), -1);
      for (const int32_t target : masked.targets) batch.scored += target >= 0;
      tokens.add(std::move(masked.tokens));
      targets.add(std::move(masked.targets));
    }
    batch.tokens = tokens.tensor(shape_.sequence_length, ids_.pad);
    batch.targets = targets.tensor(shape_.sequence_length, -1);
    batch.valid = tokens.valid(shape_.sequence_length);
    batch.lengths = tokens.lengths();
    batch.read = tokens.filled();
    return batch;
  }

 private:
  SampleShape shape_;
  SpecialIds ids_;
  TextWindows windows_;
  Masker masker_;
};

class MaskedObjective final : public Objective {
 public:
  using Objective::Objective;
  std::shared_ptr<const Samples> samples(const Split& split, const SampleShape& shape) const override {
    return std::make_shared<MaskedSamples>(split.columns[0], shape, options_, tokenizer_);
  }
};

}  // namespace

ObjectiveInfo masked_objective() {
  ObjectiveInfo info;
  info.kind = ObjectiveKind::kMasked;
  info.name = "masked";
  info.summary = "hidden tokens from all around them";
  info.sides = Sides::kEncoder;
  info.ids = kEncoderIds;
  info.shortest = kMarks + 1;
  info.most_scored = [](const ObjectiveOptions& options, int64_t length) { return masked_count(options.masked_share, length - kMarks); };
  info.make = [](const ObjectiveOptions& options, std::shared_ptr<const ExtendedTokenizer> tokenizer) {
    return std::make_unique<MaskedObjective>(options, std::move(tokenizer));
  };
  return info;
}

}  // namespace longhaul::data
