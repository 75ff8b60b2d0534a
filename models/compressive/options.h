// defines: CompressionFunction, CompressionLoss, CompressionOptions, CompressiveOptions, compressive_family
#pragma once
#include "models/recurrent/options.h"

namespace longhaul::models {

/// What makes one slot of `rate` rows that leave the memory (Rae et al. 2019, section 3.1).
enum class CompressionFunction { kMeanPool, kMaxPool, kConvolution, kDilatedConvolution, kMostUsed };
/// What trains it (section 3.2). kThroughTime: the loss of the next segments of a step.
enum class CompressionLoss { kAuto, kAttention, kAutoEncoding, kThroughTime, kNone };

struct CompressionOptions {
  CompressionFunction function = CompressionFunction::kConvolution;
  CompressionLoss loss = CompressionLoss::kAuto;  // kAuto: kAttention where the function has parameters
  double weight = 1;                              // factor on that loss
};

/// Transformer-XL with a second, compressed memory.
struct CompressiveOptions : RecurrentOptions {
  int64_t compressed = 0;                                     // slots kept for each layer; 0 = memory.length
  int64_t eval_compressed = SegmentOptions::kAsInTraining;    // of evaluation and generation
  int64_t rate = 4;                                           // rows of memory that become one slot
  CompressionOptions compression;

  /// Whether the function has parameters.
  bool learns() const { return compression.function == CompressionFunction::kConvolution || compression.function == CompressionFunction::kDilatedConvolution; }
  /// Whether it is trained by a loss of its own.
  bool has_loss() const { return compression.loss == CompressionLoss::kAttention || compression.loss == CompressionLoss::kAutoEncoding; }
};

FamilyInfo compressive_family();

}  // namespace longhaul::models
