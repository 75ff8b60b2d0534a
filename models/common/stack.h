// defines: LayerStack
#pragma once
#include <memory>
#include <vector>

#include "framework/nn/layers.h"
#include "models/common/memory_options.h"
#include "models/common/mixer.h"
#include "models/common/options.h"

namespace longhaul::models {

/// L layers, each a mixer and a feed-forward with residual connections and norms around them, and the final norm.
///
///   pre-norm   x += mixer(norm(x)); x += feed_forward(norm(x)); result norm(x)            (Xiong et al. 2020)
///   post-norm  x = norm(x + mixer(x)); x = norm(x + feed_forward(x)); result x             (Vaswani et al. 2017)
///   reversible y1 = x1 + mixer(norm(x2)); y2 = x2 + feed_forward(norm(y1)), both streams start as the embedding;
///              result norm of their mean                                                  (Kitaev et al. 2020, section 3)
///
/// The residual stream has the dtype of the embedding (f32 in mixed precision); branches work in context.compute.
class LayerStack final : public nn::Module {
 public:
  LayerStack(const BodyOptions& body, const MemoryOptions& memory, const MixerFactory& mixers, nn::Initializer& init);

  /// embedded [B, N, D] -> [B, N, D] in context.compute.
  Variable forward(const Variable& embedded, const SequenceInfo& sequence, const nn::StepContext& context) const;

  using States = std::vector<std::unique_ptr<MixerState>>;
  States start(int64_t batch, int64_t capacity, const nn::StepContext& context) const;
  Variable step(const Variable& embedded, States& states, const SequenceInfo& sequence, const nn::StepContext& context) const;

 private:
  struct Layer final : nn::Module {
    Layer(const BodyOptions& body, const MemoryOptions& memory, std::unique_ptr<Mixer> made, nn::Initializer& init);
    std::unique_ptr<Mixer> mixer;
    nn::Norm mixer_norm, feed_forward_norm;
    nn::FeedForward feed_forward;
  };
  /// The mixer of layer i, from its cache when there is one, with its dropout.
  using MixerCall = std::function<Variable(int layer, const Variable& hidden)>;
  Variable run(const Variable& embedded, const MixerCall& mix, const SequenceInfo& sequence, const nn::StepContext& context, bool recompute_layers) const;
  Variable run_post(const Variable& embedded, const MixerCall& mix, const SequenceInfo& sequence, const nn::StepContext& context, bool recompute_layers) const;
  Variable run_reversible(const Variable& embedded, const MixerCall& mix, const SequenceInfo& sequence, const nn::StepContext& context) const;
  Variable feed(int layer, const Variable& hidden, const SequenceInfo& sequence, const nn::StepContext& context) const;
  Variable drop(const Variable& x, uint32_t site, const SequenceInfo& sequence, const nn::StepContext& context) const;

  BodyOptions body_;
  MemoryOptions memory_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::unique_ptr<nn::Norm> final_norm_;  // pre-norm and reversible
};

}  // namespace longhaul::models
