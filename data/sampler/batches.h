// defines: SamplerOptions, causal_windows, TrainingBatches, DataCursor, EvaluationOptions, EvaluationBatches,
// EvaluationCounts
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "data/dataset.h"
#include "data/sampler/samples.h"

namespace longhaul::data {

struct SamplerOptions {
  int64_t sequence_length = 0;  // N, 1 or more
  bool cross_documents = true;  // windows over all documents behind each other; false: each inside one document
  bool shuffle = true;
  uint64_t seed = 0;
};

/// Windows of N inputs and their next tokens for the causal objective: they follow each other without gap or overlap of
/// targets, the last one of the split (or document) is filled up.
/// throws DataError when the split is too short: crossing, fewer than N + 1 tokens; else no document with 2 tokens
std::shared_ptr<const Samples> causal_windows(std::shared_ptr<const TokenSource> source, int64_t sequence_length,
                                              bool cross_documents);

/// The training samples of a split in a fixed order. The global sample g is sample perm(seed, g / n, g % n) of the n
/// samples, a keyed bijection (data spec 3.5): nothing but g decides what a row holds, so the order depends on no rank,
/// batch size or earlier read.
class TrainingBatches {
 public:
  TrainingBatches(std::shared_ptr<const Samples> samples, bool shuffle, uint64_t seed)
      : all_(std::move(samples)), shuffle_(shuffle), seed_(seed) {}
  /// Of causal windows.
  TrainingBatches(std::shared_ptr<const TokenSource> source, const SamplerOptions& options)
      : TrainingBatches(causal_windows(std::move(source), options.sequence_length, options.cross_documents),
                        options.shuffle, options.seed) {}

  int64_t samples_per_epoch() const { return all_->count(); }
  int64_t sequence_length() const { return all_->sequence_length(); }
  uint64_t seed() const { return seed_; }
  /// The sample in the split that global sample g holds. O(1)
  int64_t sample_at(int64_t g) const;
  /// Global samples [first, first + rows). Needs no state; any thread, any order. O(rows N)
  Batch read(int64_t first, int64_t rows) const;

 private:
  std::shared_ptr<const Samples> all_;
  bool shuffle_;
  uint64_t seed_;
};

/// Where training stands in its data: samples consumed by completed steps. The caller advances it after each step, so
/// what was only read ahead is not in it. Part of every checkpoint.
struct DataCursor {
  int64_t samples = 0;            // G: the next global sample
  int64_t samples_per_epoch = 0;  // of the sampler it belongs to
  int64_t sequence_length = 0;
  uint64_t seed = 0;

  static DataCursor start(const TrainingBatches& batches);
  double epochs() const;
  /// Continues on another cut of the same split (a stage with another sequence length): at the next whole epoch.
  DataCursor moved_to(const TrainingBatches& batches) const;
  /// throws CheckpointError when the cursor belongs to other data, length or seed
  void check_fits(const TrainingBatches& batches) const;
  std::string to_json() const;
  static DataCursor from_json(const std::string& json);
  bool operator==(const DataCursor&) const = default;
};

struct EvaluationOptions {
  int64_t context = 0;           // L, tokens of a window
  int64_t stride = 0;            // s, 1 <= s <= L; s = L: protocol block, s = 1: sliding
  bool cross_documents = false;  // one stream over all documents; false: each document is a stream of its own
};

/// What an evaluation scores, exactly: text of tokens without a prediction (the first of a stream) is not in it.
struct EvaluationCounts {
  int64_t tokens = 0;     // targets
  int64_t documents = 0;  // with at least one target
  int64_t unscored = 0;   // first tokens of streams, which have no context
  TextCounts text;
};

/// Windows of a split for evaluation (data spec 1.3): window w of a stream starts at w s, is at most L long and scores
/// the targets after the last one of the window before; every target is scored exactly once, with at least L - s tokens
/// of context after the first window. End ids that the preparation added are context and never targets.
class EvaluationBatches {
 public:
  /// throws DataError when nothing can be scored, ConfigError when L or s is out of range
  EvaluationBatches(std::shared_ptr<const TokenSource> source, const EvaluationOptions& options);

  int64_t windows() const { return windows_; }
  const TokenSource& source() const { return *source_; }
  const EvaluationCounts& counts() const { return counts_; }
  /// Windows [first, first + rows), clipped to windows(); as wide as the longest of them, at most L.
  Batch read(int64_t first, int64_t rows) const;

 private:
  std::shared_ptr<const TokenSource> source_;
  EvaluationOptions options_;
  int64_t windows_ = 0;
  EvaluationCounts counts_;
  std::vector<int64_t> first_window_;  // [streams + 1], windows before each stream
};

}  // namespace longhaul::data
