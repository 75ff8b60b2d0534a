#include "data/sampler/streams.h"

#include <algorithm>

#include "data/sampler/fill.h"
#include "data/sampler/permutation.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

class Streams final : public Samples {
 public:
  Streams(std::shared_ptr<const TokenSource> source, const StreamOptions& options)
      : source_(std::move(source)), options_(options) {
    const int64_t length = options.sequence_length;
    check<ConfigError>(length >= 1 && options.rows >= 1, "[data] streams of {} tokens for {} rows", length, options.rows);
    length_ = (source_->tokens() - 1 - (options.shuffle ? length - 1 : 0)) / options.rows;
    check<DataError>(length_ >= length,
                     "[data] the training data has {} tokens, which gives {} streams of {}: less than one segment of {}\n"
                     "  hint: lower train.batch_size or data.sequence_length, or add text",
                     source_->tokens(), options.rows, std::max<int64_t>(length_, 0), length);
    check<ConfigError>(length_ > options.memory,
                       "[data] model.memory keeps {} tokens, but each of the {} streams of the training data has only {}\n"
                       "  hint: a shorter memory, a smaller train.batch_size (one stream for each of its rows), or more text",
                       options.memory, options.rows, length_);
  }

  int64_t count() const override { return options_.rows * ((length_ + options_.sequence_length - 1) / options_.sequence_length); }
  int64_t sequence_length() const override { return options_.sequence_length; }

  Batch read(std::span<const Draw> draws) const override {
    const int64_t first = draws.empty() ? 0 : draws[0].sample;
    check<InternalError>(static_cast<int64_t>(draws.size()) == options_.rows && first % options_.rows == 0,
                         "{} samples from {} on, of {} streams", draws.size(), first, options_.rows);
    std::vector<RowSpan> spans;
    for (const Draw& draw : draws) {
      const int64_t epoch = static_cast<int64_t>(draw.key) / count(), row = draw.sample % options_.rows;
      const int64_t offset = options_.shuffle ? permuted(options_.seed, epoch, options_.sequence_length, 0) : 0;
      const int64_t at = draw.sample / options_.rows * options_.sequence_length;  // in the stream
      const int64_t begin = offset + row * length_ + at;
      spans.push_back({begin, std::min(options_.sequence_length, length_ - at), begin + 1});
    }
    Batch batch = fill_rows(*source_, spans, options_.sequence_length, true);
    batch.begins_streams = first == 0;
    return batch;
  }

 private:
  std::shared_ptr<const TokenSource> source_;
  StreamOptions options_;
  int64_t length_ = 0;  // inputs of a stream in an epoch
};

}  // namespace

std::shared_ptr<const Samples> causal_streams(std::shared_ptr<const TokenSource> source, const StreamOptions& options) {
  return std::make_shared<Streams>(std::move(source), options);
}

}  // namespace longhaul::data
