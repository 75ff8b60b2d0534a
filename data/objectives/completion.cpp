#include "data/objectives/kinds.h"
#include "data/objectives/rows.h"
#include "data/objectives/tables.h"
#include "data/objectives/text_rows.h"
#include "framework/base/error.h"
#include "framework/tensor/memory.h"

namespace longhaul::data {
namespace {

constexpr int64_t kMarks = 2;  // begin and end of a row

/// Rows of begin, source, target, end. The target and the end are scored, each predicted from all that stands before it.
class CompletionSamples final : public Samples {
 public:
  CompletionSamples(const Split& split, const SampleShape& shape, const Objective& objective)
      : length_(shape.sequence_length),
        ids_(objective.tokenizer().special()),
        sources_(split.columns[0], split.name, "source"),
        targets_(split.columns[1], split.name, "target") {
    for (int64_t row = 0; row < sources_.count(); ++row) {
      const int64_t room = length_ + 1 - kMarks - targets_.size(row);
      if (objective.options().too_long == TooLong::kError) {
        sources_.check_fits(row, room, "a larger data.sequence_length");
      } else {
        check<DataError>(room >= 0, "[data] {}: the target of row {} alone has {} tokens; data.sequence_length = {}", split.name, row + 1, targets_.size(row), length_);
      }
    }
  }

  int64_t count() const override { return sources_.count(); }
  int64_t sequence_length() const override { return length_; }

  Batch read(std::span<const Draw> draws) const override {
    RowTable inputs, scored;
    Batch batch;
    for (const Draw& draw : draws) {
      const std::vector<int32_t> target = targets_.read(draw.sample, length_);
      std::vector<int32_t> row = sources_.read(draw.sample, length_ + 1 - kMarks - static_cast<int64_t>(target.size()));
      row.insert(row.begin(), ids_.begin);
      std::vector<int32_t> wanted(row.size() - 1, -1);
      row.insert(row.end(), target.begin(), target.end());
      wanted.insert(wanted.end(), target.begin(), target.end());
      wanted.push_back(ids_.end);
      batch.scored += static_cast<int64_t>(target.size()) + 1;
      inputs.add(std::move(row));
      scored.add(std::move(wanted));
    }
    const int64_t width = bucket_width(inputs.longest(), length_);
    const MemoryScope family(MemoryFamily::kWorkspace);
    batch.tokens = inputs.tensor(width, ids_.pad);
    batch.valid = inputs.valid(width);
    batch.targets = scored.tensor(width, -1);
    batch.lengths = inputs.lengths();
    batch.read = inputs.filled();
    return batch;
  }

 private:
  int64_t length_;
  SpecialIds ids_;
  TextRows sources_, targets_;
};

class Completion final : public Objective {
 public:
  using Objective::Objective;

  Split open(const std::string& name, const std::vector<DataEntry>& entries, const DatasetOptions& options) const override { return open_pairs(name, entries, options); }
  std::shared_ptr<const Samples> samples(const Split& split, const SampleShape& shape) const override {
    return std::make_shared<CompletionSamples>(split, shape, *this);
  }
};

}  // namespace

ObjectiveInfo completion_objective() {
  ObjectiveInfo info;
  info.kind = ObjectiveKind::kCompletion;
  info.name = "completion";
  info.summary = "how a text goes on: a decoder reads the source, its target is scored";
  info.sides = Sides::kDecoder;
  info.ids = {.rows = true, .begin = true, .end = true, .pad = true};
  info.table = true;
  info.pairs = true;
  info.shortest = kMarks;
  info.make = [](const ObjectiveOptions& options, std::shared_ptr<const ExtendedTokenizer> tokenizer) {
    return std::make_unique<Completion>(options, std::move(tokenizer));
  };
  return info;
}

}  // namespace longhaul::data
