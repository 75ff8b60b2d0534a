#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "data/objectives/kinds.h"
#include "data/objectives/rows.h"
#include "data/objectives/tables.h"
#include "data/objectives/text_rows.h"
#include "framework/base/error.h"
#include "framework/tensor/memory.h"

namespace longhaul::data {
namespace {

constexpr int64_t kMarks = 2;  // begin and end of a row

/// Rows of begin, text, end; the task turns on the first token.
class TextSamples final : public Samples {
 public:
  TextSamples(const Split& split, const SampleShape& shape, const Objective& objective)
      : length_(shape.sequence_length),
        ids_(objective.tokenizer().special()),
        texts_(split.columns[0], split.name, "text"),
        labels_(split.labels) {
    if (objective.options().too_long == TooLong::kCut) return;
    for (int64_t row = 0; row < texts_.count(); ++row) {
      texts_.check_fits(row, length_ - kMarks, "a larger data.sequence_length");
    }
  }

  int64_t count() const override { return texts_.count(); }
  int64_t sequence_length() const override { return length_; }

  Batch read(std::span<const Draw> draws) const override {
    RowTable rows;
    std::vector<int32_t> targets;
    for (const Draw& draw : draws) {
      std::vector<int32_t> row = texts_.read(draw.sample, length_ - kMarks);
      row.insert(row.begin(), ids_.begin);
      row.push_back(ids_.end);
      rows.add(std::move(row));
      targets.push_back(labels_[static_cast<size_t>(draw.sample)]);
    }
    const int64_t width = bucket_width(rows.longest(), length_);
    const MemoryScope family(MemoryFamily::kWorkspace);
    Batch batch;
    batch.tokens = rows.tensor(width, ids_.pad);
    batch.valid = rows.valid(width);
    batch.focus = Tensor::zeros(batch.tokens.shape(), DType::kU8, Device::cpu());
    for (size_t b = 0; b < draws.size(); ++b) batch.focus.data<uint8_t>()[static_cast<int64_t>(b) * width] = 1;
    batch.targets = Tensor::of<int32_t>({static_cast<int64_t>(draws.size())}, targets);
    batch.lengths = rows.lengths();
    batch.scored = static_cast<int64_t>(draws.size());
    batch.read = rows.filled();
    return batch;
  }

 private:
  int64_t length_;
  SpecialIds ids_;
  TextRows texts_;
  std::vector<int32_t> labels_;
};

class Classify final : public Objective {
 public:
  using Objective::Objective;

  Split open(const std::string& name, const std::vector<DataEntry>& entries,
             const DatasetOptions& options) const override {
    Split split = open_column(name, column_of(entries, &DataEntry::text, "text"), options);
    std::unordered_map<std::string, int32_t> ids;
    std::string listed;
    for (size_t i = 0; i < options_.labels.size(); ++i) {
      ids.emplace(options_.labels[i], static_cast<int32_t>(i));
      if (i < 10) listed += (i > 0 ? ", \"" : "\"") + options_.labels[i] + "\"";
    }
    if (options_.labels.size() > 10) listed += ", ...";
    read_column(column_of(entries, &DataEntry::label, "label"), options.corpus,
                [&](const std::string& path, int64_t row, const std::string& label) {
                  const auto found = ids.find(label);
                  check<DataError>(found != ids.end(),
                                   "[data] {}: row {} has the label \"{}\", which is none of the {} classes {}\n"
                                   "  hint: classes are those of data.train, or what data.labels lists",
                                   path, row, label, ids.size(), listed);
                  split.labels.push_back(found->second);
                });
    check<InternalError>(static_cast<int64_t>(split.labels.size()) == split.columns[0]->documents(),
                         "{} labels for {} texts", split.labels.size(), split.columns[0]->documents());
    return split;
  }
  std::shared_ptr<const Samples> samples(const Split& split, const SampleShape& shape) const override {
    return std::make_shared<TextSamples>(split, shape, *this);
  }

  Judged judged() const override { return Judged::kOutputs; }
  void score(const Split&, const Batch& batch, const Tensor& found, const Tensor&, Score& into) const override {
    const int64_t classes = found.size(1);
    for (int64_t b = 0; b < found.size(0); ++b) {
      const std::span<const float> logits(found.data<float>() + b * classes, static_cast<size_t>(classes));
      const auto target = static_cast<size_t>(batch.targets.data<int32_t>()[b]);
      const auto best = std::max_element(logits.begin(), logits.end());
      double total = 0;
      for (const float logit : logits) total += std::exp(static_cast<double>(logit) - *best);
      into.nats += std::log(total) + *best - logits[target];
      into.right = into.right.value_or(0) + (best - logits.begin() == static_cast<ptrdiff_t>(target));
      ++into.targets;
      ++into.rows;
    }
  }
};

}  // namespace

ObjectiveInfo classify_objective() {
  ObjectiveInfo info;
  info.kind = ObjectiveKind::kClassify;
  info.name = "classify";
  info.summary = "the class of a text";
  info.sides = Sides::kEncoder;
  info.target = TargetKind::kClasses;
  info.ids = kEncoderIds;
  info.table = true;
  info.shortest = kMarks + 1;
  info.make = [](const ObjectiveOptions& options, std::shared_ptr<const ExtendedTokenizer> tokenizer) {
    return std::make_unique<Classify>(options, std::move(tokenizer));
  };
  return info;
}

}  // namespace longhaul::data
