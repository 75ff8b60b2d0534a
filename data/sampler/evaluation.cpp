#include <algorithm>

#include "data/sampler/batches.h"
#include "data/sampler/fill.h"
#include "data/text/unicode.h"
#include "framework/base/error.h"

namespace longhaul::data {
namespace {

/// Windows of a stream of `tokens` tokens: the first scores up to L targets, each later one up to s more.
int64_t windows_of(int64_t tokens, int64_t context, int64_t stride) {
  const int64_t targets = tokens - 1;
  if (targets <= 0) return 0;
  return targets <= context ? 1 : 1 + (targets - context + stride - 1) / stride;
}

/// Text of a stream's first token, which no context predicts. A character and a word belong to the token with its first
/// byte.
TextCounts text_of_token(const TokenSource& source, int64_t at) {
  int32_t id = 0;
  source.read(at, {&id, 1});
  const std::string text = source.tokenizer().decode({&id, 1});
  TextCounter counter(WordCount::kWords);
  counter.write(text);
  return counter.finish();
}

/// Targets of a document as a stream of its own: all but the first token and an added end id.
int64_t targets_in(const TokenSource& source, const DocumentRange& range) {
  return std::max<int64_t>(0, range.end - range.begin - 1 - (source.ends_documents() ? 1 : 0));
}

}  // namespace

EvaluationBatches::EvaluationBatches(std::shared_ptr<const TokenSource> source, const EvaluationOptions& options)
    : source_(std::move(source)), options_(options) {
  const auto [context, stride, cross] = options_;
  check<ConfigError>(context >= 1, "[eval] context = {}, expected 1 or more tokens", context);
  check<ConfigError>(stride >= 1 && stride <= context, "[eval] stride = {}, expected 1 to context ({})", stride,
                     context);
  const int64_t documents = source_->documents();
  first_window_.push_back(0);
  counts_.text = source_->total();
  if (cross) {
    first_window_.push_back(windows_of(source_->tokens(), context, stride));
    counts_.tokens = source_->tokens() - 1 - (source_->ends_documents() ? documents : 0);
    counts_.unscored = 1;
    counts_.text -= text_of_token(*source_, 0);
    counts_.documents = documents;
    if (targets_in(*source_, source_->document(0)) == 0) --counts_.documents;
  } else {
    for (int64_t i = 0; i < documents; ++i) {
      const DocumentRange range = source_->document(i);
      const int64_t targets = targets_in(*source_, range);
      const int64_t stream = targets + 1;  // an added end id is not even read as a target
      first_window_.push_back(first_window_.back() + windows_of(stream, context, stride));
      counts_.tokens += targets;
      counts_.documents += targets > 0;
      counts_.unscored += 1;
      counts_.text -= text_of_token(*source_, range.begin);
    }
  }
  windows_ = first_window_.back();
  check<DataError>(
      counts_.tokens > 0,
      "[eval] nothing can be scored: {} documents with {} tokens, and the first token of a {} has no context",
      documents, source_->tokens(), cross ? "split" : "document");
}

Batch EvaluationBatches::read(int64_t first, int64_t rows) const {
  const auto [context, stride, cross] = options_;
  std::vector<RowSpan> spans;
  std::vector<int64_t> ids;
  int64_t width = 1;
  for (int64_t w = first; w < std::min(first + rows, windows_); ++w) {
    const auto after = std::upper_bound(first_window_.begin(), first_window_.end(), w);
    const int64_t stream = after - first_window_.begin() - 1;
    DocumentRange range{0, source_->tokens()};
    if (!cross) {
      range = source_->document(stream);
      if (source_->ends_documents()) --range.end;
    }
    const int64_t local = w - first_window_[static_cast<size_t>(stream)];
    const int64_t begin = range.begin + local * stride;
    const int64_t inputs = std::min(context, range.end - 1 - begin);
    const int64_t scored_before = local == 0 ? range.begin : range.begin + (local - 1) * stride + context;
    spans.push_back({begin, inputs, scored_before + 1});
    ids.push_back(w);
    width = std::max(width, inputs);
  }
  check<InternalError>(!spans.empty(), "evaluation windows {} to {} of {}", first, first + rows, windows_);
  Batch batch = fill_rows(*source_, spans, width, false);
  batch.rows = ids;
  batch.samples = std::move(ids);
  return batch;
}

}  // namespace longhaul::data
