// defines: LayerStack, output_width
#pragma once
#include <memory>
#include <vector>

#include "framework/nn/layers.h"
#include "models/common/cross_attention.h"
#include "models/common/memory_options.h"
#include "models/common/mixer.h"
#include "models/common/options.h"

namespace longhaul::models {

/// L layers, each a mixer and a feed-forward with residual connections and norms around them, and the final norm.
///
///   pre-norm   x += mixer(norm(x)); x += feed_forward(norm(x)); result norm(x)            (Xiong et al. 2020)
///   post-norm  x = norm(x + mixer(x)); x = norm(x + feed_forward(x)); result x             (Vaswani et al. 2017)
///   reversible y1 = x1 + mixer(norm(x2)); y2 = x2 + feed_forward(norm(y1)), both streams start as the embedding;
///              result norm of their mean, or of their concatenation                       (Kitaev et al. 2020, section 3)
///
/// A decoder over an encoded source has a third sub-layer between the two, attention to the source, with a norm of its own. Its
/// reversible form adds each sub-layer of the second stream to the first and exchanges the streams, so that three sub-layers
/// alternate between them (the published Trax code).
/// The residual stream has the dtype of the embedding (f32 in mixed precision); branches work in context.compute.
class LayerStack final : public nn::Module {
 public:
  enum class Source { kNone, kCrossAttention };
  LayerStack(const BodyOptions& body, const MemoryOptions& memory, const MixerFactory& mixers, nn::Initializer& init, Source source = Source::kNone);

  /// embedded [B, N, D] -> [B, N, output_width] in context.compute; `source` is given exactly when the stack attends to one.
  /// sequence.hidden_states receives `embedded` and the residual stream after each layer, the last one as it is returned; of a
  /// reversible stack the stream that the last sub-layer of each layer was added to. With sequence.rows, distinct numbers of rows of [B N], the result is these rows alone, [M, D]:
  /// they are chosen behind the last exchange between tokens, and all that follows is computed for them only.
  Variable forward(const Variable& embedded, const SequenceInfo& sequence, const nn::StepContext& context, const EncodedSource& source = {}) const;

  /// Caches of all layers.
  struct States {
    std::vector<std::unique_ptr<MixerState>> mixers;
    std::vector<CrossAttention::Projected> sources;  // empty without a source
    bool one_source = false;  // all rows have the same one
    /// See DecodeState::select.
    bool select(std::span<const int64_t> rows);
  };
  States start(int64_t batch, int64_t capacity, const nn::StepContext& context, const EncodedSource& source = {}) const;
  Variable step(const Variable& embedded, States& states, const SequenceInfo& sequence, const nn::StepContext& context) const;

 private:
  struct Layer final : nn::Module {
    Layer(const BodyOptions& body, const MemoryOptions& memory, int index, const MixerFactory& mixers, nn::Initializer& init, Source source);
    std::unique_ptr<Mixer> mixer;
    nn::Norm mixer_norm;
    std::unique_ptr<CrossAttention> cross;  // with its norm, in decoders over a source
    std::unique_ptr<nn::Norm> cross_norm;
    nn::Norm feed_forward_norm;
    nn::FeedForward feed_forward;
  };
  /// How a pass computes the sub-layers that exchange information: from the whole sequence, or with caches.
  struct Pass {
    SequenceInfo sequence;
    nn::StepContext context;
    std::function<Variable(int layer, const Variable& hidden)> mix;
    std::function<Variable(int layer, const Variable& hidden, const Variable& source)> cross;
    Variable source;         // [B, M, D], an input of every layer; undefined without one
    bool recompute = false;  // layer by layer
  };
  Variable run(const Variable& embedded, const Pass& pass) const;
  Variable run_pre(const Variable& embedded, const Pass& pass) const;
  Variable run_post(const Variable& embedded, const Pass& pass) const;
  Variable run_reversible(const Variable& embedded, const Pass& pass) const;
  std::vector<ReversibleBlock> reversible_blocks(const Pass& pass) const;
  Variable mix(int layer, const Variable& hidden, const Pass& pass) const;
  Variable cross(int layer, const Variable& hidden, const Variable& source, const Pass& pass) const;
  Variable feed(int layer, const Variable& hidden, const Pass& pass) const;
  Variable drop(const Variable& x, int layer, uint32_t branch, const Pass& pass) const;
  /// Whether the rows of pass.sequence are chosen in this layer, the last one.
  bool chooses(int layer, const Pass& pass) const { return pass.sequence.rows.defined() && layer + 1 == static_cast<int>(layers_.size()); }

  BodyOptions body_;
  MemoryOptions memory_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::unique_ptr<nn::Norm> final_norm_;  // pre-norm and reversible
};

/// Columns of a stack's result: D, or 2 D where it concatenates two streams.
int64_t output_width(const BodyOptions& body, const MemoryOptions& memory);

}  // namespace longhaul::models
