// defines: Batch, SamplerOptions, TrainingBatches, DataCursor, EvaluationOptions, EvaluationBatches, EvaluationCounts
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "data/dataset.h"
#include "framework/tensor/tensor.h"

namespace longhaul::data {

/// B rows of N tokens. Shorter rows are filled up: tokens 0, targets -1, documents -1.
struct Batch {
  Tensor tokens;                 // [B, N] i32
  Tensor targets;                // [B, N] i32, the next token; -1 = not scored
  Tensor documents;              // [B, N] i32, index of the token's document in the split; -1 = filled up
  Tensor positions;              // [B, N] i32, tokens since the start of that document; 0 where filled up
  std::vector<int64_t> rows;     // [B] global row of each: training g (counts on over epochs), evaluation the window
  std::vector<int64_t> samples;  // [B] the sample in the split (training: perm(g)); evaluation the window
  std::vector<int64_t> lengths;  // [B] tokens that are not filled up
  int64_t scored = 0;            // targets that are not -1
};

struct SamplerOptions {
  int64_t sequence_length = 0;  // N, 1 or more
  bool cross_documents = true;  // windows over all documents behind each other; false: each inside one document
  bool shuffle = true;
  uint64_t seed = 0;
};

/// The training samples of a split in a fixed order. A sample is a window of N inputs and their next tokens, windows
/// follow each other without gap or overlap of targets, the last one of the split (or document) is filled up. The
/// global sample g is sample perm(seed, g / n, g % n) of the n samples, a keyed bijection (data spec 3.5): nothing but
/// g decides what a row holds, so the order depends on no rank, batch size or earlier read.
class TrainingBatches {
 public:
  /// throws DataError when the split is too short: crossing, fewer than N + 1 tokens; else no document with 2 tokens
  TrainingBatches(std::shared_ptr<const TokenSource> source, const SamplerOptions& options);

  int64_t samples_per_epoch() const { return samples_; }
  int64_t sequence_length() const { return options_.sequence_length; }
  const TokenSource& source() const { return *source_; }
  const SamplerOptions& options() const { return options_; }
  /// The sample in the split that global sample g holds. O(1)
  int64_t sample_at(int64_t g) const;
  /// Global samples [first, first + rows). Needs no state; any thread, any order. O(rows N)
  Batch read(int64_t first, int64_t rows) const;

 private:
  std::shared_ptr<const TokenSource> source_;
  SamplerOptions options_;
  int64_t samples_ = 0;
  std::vector<int64_t> first_window_;  // [documents + 1], windows before each document; empty when crossing
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
