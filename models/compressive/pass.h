// defines: CompressedPass
#pragma once
#include "models/compressive/compression.h"
#include "models/compressive/memory.h"
#include "models/recurrent/pass_memory.h"

namespace longhaul::models {

/// One layer as its memories need it.
struct CompressedLayer {
  const RecurrentLayer* layer = nullptr;
  const Compression* compression = nullptr;
};

/// What layers of a Compressive Transformer see before each segment: slots, then the newest rows, then the segment. With every
/// segment the rows it pushes out of the memory become slots, and the oldest slots are forgotten (Rae et al. 2019, algorithm 1).
/// A segment that the rate does not divide moves nothing: it is the last one of its stream.
class CompressedPass final : public PassMemory {
 public:
  /// `copy`: as in SegmentPass. Losses are computed in training where the options have one.
  CompressedPass(CompressedMemory& state, const CompressiveOptions& options, std::vector<CompressedLayer> layers, int64_t batch, const nn::StepContext& context, bool copy);

  int64_t keys() const override { return slots_of(0) + rows_of(0); }
  int64_t window() const override { return keys(); }
  Variable seen(size_t layer) const override { return joined_rows(slots_[layer], rows_[layer]); }
  Tensor documents(size_t layer) const override;
  bool same_documents() const override { return !state_.compressed_plan().usage; }
  void take(size_t layer, const Variable& own, const SegmentView& segment, bool last) override;
  void advance(const Tensor& documents) override;
  void keep() override;

  /// Losses of compression: for each segment of the pass one of each layer, [1], undefined where nothing left the memory.
  const std::vector<std::vector<Variable>>& losses() const { return losses_; }
  /// Always computes them.
  void want_losses() { wants_losses_ = true; }

 private:
  int64_t rows_of(size_t layer) const { return rows_[layer].defined() ? rows_[layer].size(1) : 0; }
  int64_t slots_of(size_t layer) const { return slots_[layer].defined() ? slots_[layer].size(1) : 0; }
  /// Counts the attention of the segment; what most_used keeps of the `leaving` oldest rows of memory and segment.
  Tensor count_usage(size_t layer, const Variable& own, const SegmentView& segment, int64_t leaving);
  Variable loss_of(size_t layer, const Variable& own, const Variable& old, const Variable& slots) const;

  CompressedMemory& state_;
  const CompressiveOptions& options_;
  std::vector<CompressedLayer> layers_;
  int64_t batch_;
  nn::StepContext context_;
  bool wants_losses_;
  std::vector<Variable> rows_, slots_;  // [B, n, D]
  std::vector<Tensor> usage_;           // [B, n]
  std::vector<int64_t> steps_;          // [n]
  std::vector<Tensor> kept_;            // of the segment that is read: what most_used keeps of its leaving rows
  Tensor documents_;                    // [B, n]
  std::vector<Tensor> slot_documents_;
  std::vector<std::vector<Variable>> losses_;
  int64_t length_ = 0;  // of the segment that is read
};

}  // namespace longhaul::models
