#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "data/sampler/batches.h"
#include "data/sampler/fill.h"
#include "data/sampler/permutation.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

int64_t windows_of(int64_t tokens, int64_t length) { return tokens < 2 ? 0 : (tokens - 2) / length + 1; }

class CausalWindows final : public Samples {
 public:
  CausalWindows(std::shared_ptr<const TokenSource> source, int64_t length, bool cross)
      : source_(std::move(source)), length_(length), cross_(cross) {
    check<ConfigError>(length >= 1, "[data] sequence_length = {}, expected 1 or more tokens", length);
    if (cross) {
      check<DataError>(source_->tokens() > length,
                       "[data] the training data has {} tokens, a sample of sequence_length {} needs {}\n"
                       "  hint: lower data.sequence_length or add text",
                       source_->tokens(), length, length + 1);
      count_ = windows_of(source_->tokens(), length);
      return;
    }
    first_window_.push_back(0);
    for (int64_t i = 0; i < source_->documents(); ++i) {
      const DocumentRange range = source_->document(i);
      first_window_.push_back(first_window_.back() + windows_of(range.end - range.begin, length));
    }
    count_ = first_window_.back();
    check<DataError>(count_ > 0,
                     "[data] no training document has two tokens: there is nothing to predict\n"
                     "  hint: longer documents (document: file), or data.cross_documents: true");
  }

  int64_t count() const override { return count_; }
  int64_t sequence_length() const override { return length_; }

  Batch read(std::span<const Draw> draws) const override {
    std::vector<RowSpan> spans;
    for (const Draw& draw : draws) {
      DocumentRange range{0, source_->tokens()};
      int64_t window = draw.sample;
      if (!cross_) {
        const auto after = std::upper_bound(first_window_.begin(), first_window_.end(), draw.sample);
        const int64_t document = after - first_window_.begin() - 1;
        range = source_->document(document);
        window -= first_window_[static_cast<size_t>(document)];
      }
      const int64_t begin = range.begin + window * length_;
      spans.push_back({begin, std::min(length_, range.end - 1 - begin), begin + 1});
    }
    return fill_rows(*source_, spans, length_, true);
  }

 private:
  std::shared_ptr<const TokenSource> source_;
  int64_t length_;
  bool cross_;
  int64_t count_ = 0;
  std::vector<int64_t> first_window_;  // [documents + 1], windows before each document; empty when crossing
};

}  // namespace

std::shared_ptr<const Samples> causal_windows(std::shared_ptr<const TokenSource> source, int64_t sequence_length,
                                              bool cross_documents) {
  return std::make_shared<CausalWindows>(std::move(source), sequence_length, cross_documents);
}

int64_t TrainingBatches::sample_at(int64_t g) const {
  check<InternalError>(g >= 0, "global sample {}", g);
  const int64_t samples = all_->count();
  if (!shuffle_) return g % samples;
  return permuted(seed_, g / samples, samples, g % samples);
}

Batch TrainingBatches::read(int64_t first, int64_t rows) const {
  std::vector<Draw> draws;
  std::vector<int64_t> ids, samples;
  for (int64_t g = first; g < first + rows; ++g) {
    draws.push_back({sample_at(g), static_cast<uint64_t>(g)});
    ids.push_back(g);
    samples.push_back(draws.back().sample);
  }
  Batch batch = all_->read(draws);
  batch.rows = std::move(ids);
  batch.samples = std::move(samples);
  return batch;
}

DataCursor DataCursor::start(const TrainingBatches& batches) {
  return {0, batches.samples_per_epoch(), batches.sequence_length(), batches.seed()};
}

double DataCursor::epochs() const {
  return samples_per_epoch == 0 ? 0 : static_cast<double>(samples) / static_cast<double>(samples_per_epoch);
}

DataCursor DataCursor::moved_to(const TrainingBatches& batches) const {
  DataCursor next = start(batches);
  const int64_t epoch = samples_per_epoch == 0 ? 0 : (samples + samples_per_epoch - 1) / samples_per_epoch;
  next.samples = epoch * next.samples_per_epoch;
  return next;
}

void DataCursor::check_fits(const TrainingBatches& batches) const {
  const DataCursor here = start(batches);
  check<CheckpointError>(
      samples_per_epoch == here.samples_per_epoch && sequence_length == here.sequence_length && seed == here.seed,
      "[data] the saved position belongs to {} samples of {} tokens with seed {}, the data of now has {} samples of {} "
      "tokens with seed {}",
      samples_per_epoch, sequence_length, seed, here.samples_per_epoch, here.sequence_length, here.seed);
}

std::string DataCursor::to_json() const {
  return nlohmann::json{{"samples", samples},
                        {"samples_per_epoch", samples_per_epoch},
                        {"sequence_length", sequence_length},
                        {"seed", seed}}
      .dump();
}

DataCursor DataCursor::from_json(const std::string& text) {
  DataCursor cursor;
  try {
    const auto json = nlohmann::json::parse(text);
    const auto whole = [&json](const char* name) {
      const auto& value = json.at(name);
      check<CheckpointError>(value.is_number_integer() && (value.is_number_unsigned() || value.get<int64_t>() >= 0) &&
                                 value.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()),
                             "[data] saved position: {} = {}, expected a whole number", name, value.dump());
      return value.get<int64_t>();
    };
    cursor.samples = whole("samples");
    cursor.samples_per_epoch = whole("samples_per_epoch");
    cursor.sequence_length = whole("sequence_length");
    check<CheckpointError>(json.at("seed").is_number_integer(), "[data] saved position: seed = {}",
                           json.at("seed").dump());
    cursor.seed = json.at("seed").get<uint64_t>();
  } catch (const nlohmann::json::exception& error) {
    fail<CheckpointError>("[data] the saved position is malformed: {}", error.what());
  }
  return cursor;
}

}  // namespace longhaul::data
