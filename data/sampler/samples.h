// defines: Batch, Draw, Samples
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "framework/tensor/tensor.h"

namespace longhaul::data {

/// B rows. What an objective does not have stays undefined. Shorter rows are filled up: tokens with 0 (or the pad id, where
/// the objective has one), targets and documents with -1, positions, valid and focus with 0.
struct Batch {
  Tensor tokens;        // [B, N] i32; with a source: the target tokens shifted right
  Tensor targets;       // i32, -1 = not scored: [B, N] tokens; [B] classes; [B, 2] first and last position of a span
  Tensor valid;         // [B, N] u8, 0 = filled up; where tokens see both sides and something is filled up
  Tensor focus;         // [B, N] u8, 1 = a token the task turns on: the first one to classify, the question
  Tensor source;        // [B, M] i32, what an encoder reads for the decoder
  Tensor source_valid;  // [B, M] u8
  Tensor documents;     // [B, N] i32, causal: index of the token's document in the split
  Tensor positions;     // [B, N] i32, causal: tokens since the start of that document
  std::vector<int64_t> rows;     // [B] global row of each: training g (counts on over epochs), evaluation the window
  std::vector<int64_t> samples;  // [B] the sample in the split (training: perm(g)); evaluation the window
  std::vector<int64_t> lengths;  // [B] tokens of `tokens` that are not filled up
  int64_t scored = 0;            // targets that are not -1
  int64_t read = 0;              // tokens that are not filled up, those of the source included
};

/// One row to make: a sample of the split, and the number that all its random choices are keyed by besides the seed. In
/// training that is the global sample, so another epoch chooses anew; in evaluation the sample, so the choices are fixed.
struct Draw {
  int64_t sample = 0;
  uint64_t key = 0;
};

/// A split cut into the samples of an objective. What a row holds depends on the sample, the key and the seed alone, the
/// width of a batch on its rows together. Immutable; any thread, any order.
class Samples {
 public:
  virtual ~Samples() = default;
  virtual int64_t count() const = 0;
  /// As the objective cut them; part of the cursor.
  virtual int64_t sequence_length() const = 0;
  /// One row for each draw, in order; `rows` and `samples` of the batch are left to the caller.
  virtual Batch read(std::span<const Draw> draws) const = 0;
};

}  // namespace longhaul::data
