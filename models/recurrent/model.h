// defines: SegmentTrace, RecurrentModel
#pragma once
#include <memory>
#include <vector>

#include "models/common/segment_memory.h"
#include "models/common/self_attention.h"
#include "models/model.h"
#include "models/recurrent/adaptive.h"
#include "models/recurrent/layer.h"
#include "models/recurrent/pass_memory.h"

namespace longhaul::models {

/// What a pass leaves for those who compare: the residual stream before the first layer and after each, [B, N, D].
struct SegmentTrace {
  std::vector<Variable> hidden;
};

/// Transformer-XL (Dai et al. 2019): layers that see, besides the segment, their own inputs of the tokens before it.
///
/// With inputs.memory the rows [first_row, first_row + B) of that memory are seen and then replaced by the newest tokens;
/// gradients do not reach them. In training the inputs are memory.bptt_segments segments of equal length, and gradients do
/// flow from each to the ones before. Without a memory every sequence is a stream of its own. Parameters: those of
/// AdaptiveTokens, layers.<i>.*, biases.* where the layers share them, final_norm.*.
class RecurrentModel : public LanguageModel {
 public:
  RecurrentModel(const ModelSpec& spec, nn::Initializer& init);

  Variable hidden(const ModelInputs& inputs, const nn::StepContext& context) const override { return run(inputs, context, nullptr); }
  ops::CrossEntropyResult loss(const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const override;
  Variable logits(const ModelInputs& inputs, const nn::StepContext& context) const override { return tokens_.logits(hidden(inputs, context)); }
  std::unique_ptr<SegmentMemory> start_memory(const MemoryRequest& request) const override;
  std::unique_ptr<DecodeState> start_decoding(int64_t batch, int64_t capacity, const nn::StepContext& context) const override;
  Tensor decode(const Tensor& tokens, DecodeState& state, const nn::StepContext& context) const override;

  /// hidden(), with what it passes through.
  Variable run(const ModelInputs& inputs, const nn::StepContext& context, SegmentTrace* trace) const;
  /// From the residual stream before the first layer, [B, N, D], to that after the last. `documents` [B, N] or undefined;
  /// `memory` is what comes before, or null. The memory of the stream is left as it is: see PassMemory::keep.
  Variable read(const Variable& embedded, const Tensor& documents, PassMemory* memory, const nn::StepContext& context, SegmentTrace* trace) const;
  /// Goes on from the rows [context.first_row, context.first_row + batch) of a memory.
  virtual std::unique_ptr<PassMemory> start_pass(SegmentMemory& state, int64_t batch, const nn::StepContext& context) const;
  const AdaptiveTokens& tokens() const { return tokens_; }

 protected:
  /// hidden() with a pass over inputs.memory, or null; the memory is replaced by what it leaves.
  Variable run(const ModelInputs& inputs, PassMemory* memory, const nn::StepContext& context, SegmentTrace* trace) const;
  MemoryPlan memory_plan(const MemoryRequest& request) const;
  /// Distances 0 .. keys - 1, as far as they differ.
  Variable distances(int64_t keys, uint32_t segment, const nn::StepContext& context) const;
  const Pattern& pattern(const Extent& extent, bool documents, int64_t memory) const;
  Variable finished(const Variable& x, const nn::StepContext& context) const;

  std::shared_ptr<const RecurrentOptions> options_;
  AdaptiveTokens tokens_;
  std::unique_ptr<PositionBiases> biases_;  // of all layers
  std::vector<std::unique_ptr<RecurrentLayer>> layers_;
  std::unique_ptr<nn::Norm> final_norm_;
  mutable Tensor table_;  // rows of distances, as many as were needed so far
  mutable std::vector<std::pair<int64_t, std::unique_ptr<PatternCache>>> patterns_;  // by visible_keys
};

std::unique_ptr<LanguageModel> build_recurrent(const ModelSpec& spec, nn::Initializer& init);

}  // namespace longhaul::models
