#include "data/objectives/kinds.h"
#include "data/objectives/pairs.h"
#include "data/objectives/text_rows.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

/// Rows of a table: source and end, target and end.
class PairSamples final : public Samples {
 public:
  PairSamples(const Split& split, const SampleShape& shape, const Objective& objective)
      : length_(shape.sequence_length),
        target_length_(target_length_of(objective.options(), shape.sequence_length)),
        start_(objective.start_of_target()),
        ids_(objective.tokenizer().special()),
        sources_(split.columns[0], split.name, "source"),
        targets_(split.columns[1], split.name, "target") {
    if (objective.options().too_long == TooLong::kCut) return;
    for (int64_t row = 0; row < sources_.count(); ++row) {
      sources_.check_fits(row, length_ - 1, "a larger data.sequence_length");
      targets_.check_fits(row, target_length_ - 1, "a larger data.target_length");
    }
  }

  int64_t count() const override { return sources_.count(); }
  int64_t sequence_length() const override { return length_; }

  Batch read(std::span<const Draw> draws) const override {
    PairBatch batch(start_, ids_.pad);
    for (const Draw& draw : draws) {
      std::vector<int32_t> source = sources_.read(draw.sample, length_ - 1);
      std::vector<int32_t> target = targets_.read(draw.sample, target_length_ - 1);
      source.push_back(ids_.end);
      target.push_back(ids_.end);
      batch.add(std::move(source), std::move(target));
    }
    return batch.finish(bucket_width(batch.longest_source(), length_),
                        bucket_width(batch.longest_target(), target_length_));
  }

 private:
  int64_t length_, target_length_;
  int32_t start_;
  SpecialIds ids_;
  TextRows sources_, targets_;
};

class Seq2Seq final : public Objective {
 public:
  using Objective::Objective;

  Split open(const std::string& name, const std::vector<DataEntry>& entries, const DatasetOptions& options) const override { return open_pairs(name, entries, options); }
  std::shared_ptr<const Samples> samples(const Split& split, const SampleShape& shape) const override {
    return std::make_shared<PairSamples>(split, shape, *this);
  }
};

}  // namespace

ObjectiveInfo seq2seq_objective() {
  ObjectiveInfo info;
  info.kind = ObjectiveKind::kSeq2Seq;
  info.name = "seq2seq";
  info.summary = "a target text from a source text";
  info.sides = Sides::kEncoderDecoder;
  info.ids = kTwoSidedIds;
  info.table = true;
  info.pairs = true;
  info.shortest = 2;
  info.target_length = [](const ObjectiveOptions&, int64_t sequence_length) { return sequence_length; };
  info.make = [](const ObjectiveOptions& options, std::shared_ptr<const ExtendedTokenizer> tokenizer) {
    return std::make_unique<Seq2Seq>(options, std::move(tokenizer));
  };
  return info;
}

}  // namespace longhaul::data
