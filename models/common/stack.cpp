#include "models/common/stack.h"

#include <cmath>

#include "framework/base/error.h"
#include "framework/ops/elementwise.h"

namespace longhaul::models {
namespace {

ops::NormOptions norm_options(const BodyOptions& body) {
  return {.eps = static_cast<float>(body.norm_eps), .rms = body.norm_kind == NormKind::kRms};
}

ops::Activation activation_of(Activation activation) {
  switch (activation) {
    case Activation::kRelu: return ops::Activation::kRelu;
    case Activation::kSwiglu: return ops::Activation::kSwiglu;
    case Activation::kGelu: break;
  }
  return ops::Activation::kGelu;
}

}  // namespace

LayerStack::Layer::Layer(const BodyOptions& body, const MemoryOptions& memory, std::unique_ptr<Mixer> made, nn::Initializer& init)
    : mixer(std::move(made)),
      mixer_norm(body.dim, body.bias, norm_options(body), init),
      feed_forward_norm(body.dim, body.bias, norm_options(body), init),
      feed_forward(body.dim, body.feedforward, body.bias, body.init_std, body.init_std / std::sqrt(2.0 * body.layers),
                   {.activation = activation_of(body.activation), .chunk_rows = memory.chunk_feedforward}, init) {
  add("attention_norm", mixer_norm);
  add("attention", *mixer);
  add("feed_forward_norm", feed_forward_norm);
  add("feed_forward", feed_forward);
}

LayerStack::LayerStack(const BodyOptions& body, const MemoryOptions& memory, const MixerFactory& mixers, nn::Initializer& init) : body_(body), memory_(memory) {
  check<ConfigError>(!(memory.reversible && body.norm == NormPlacement::kPost), "[model] post-norm layers cannot be reversed\n  hint: model.norm: pre");
  for (int i = 0; i < body.layers; ++i) {
    layers_.push_back(std::make_unique<Layer>(body, memory, mixers(i, init), init));
    add("layers." + std::to_string(i), *layers_.back());
  }
  if (body.norm == NormPlacement::kPre) {
    final_norm_ = std::make_unique<nn::Norm>(body.dim, body.bias, norm_options(body), init);
    add("final_norm", *final_norm_);
  }
}

Variable LayerStack::drop(const Variable& x, uint32_t site, const SequenceInfo& sequence, const nn::StepContext& context) const {
  if (!context.training || body_.dropout == 0) return x;
  return ops::dropout(x, {.stream = context.stream(site, RandomPurpose::kResidualDropout), .probability = body_.dropout,
                          .first_element = static_cast<uint64_t>(context.first_row * sequence.length * body_.dim)});
}

Variable LayerStack::feed(int layer, const Variable& hidden, const SequenceInfo& sequence, const nn::StepContext& context) const {
  return drop(layers_[layer]->feed_forward(hidden), static_cast<uint32_t>(2 * layer + 1), sequence, context);
}

Variable LayerStack::run(const Variable& embedded, const MixerCall& mix, const SequenceInfo& sequence, const nn::StepContext& context, bool recompute_layers) const {
  // The residual sum of a branch waits until the next norm, which adds and normalises in one pass: {stream, pending branch}.
  std::vector<Variable> state{embedded};
  const auto add_and_normalize = [&context](const nn::Norm& norm, std::span<const Variable> in) -> ops::ResidualNormal {
    if (in.size() == 1) return {in[0], norm(in[0], context.compute)};
    return norm.add(in[0], in[1], context.compute);
  };
  for (int i = 0; i < static_cast<int>(layers_.size()); ++i) {
    const auto layer = [this, i, mix, sequence, context, add_and_normalize](std::span<const Variable> in) -> std::vector<Variable> {
      const auto first = add_and_normalize(layers_[i]->mixer_norm, in);
      const auto second = layers_[i]->feed_forward_norm.add(first.sum, mix(i, first.normal), context.compute);
      return {second.sum, feed(i, second.normal, sequence, context)};
    };
    state = recompute_layers ? recompute(layer, state) : layer(state);
  }
  return add_and_normalize(*final_norm_, state).normal;
}

Variable LayerStack::run_post(const Variable& embedded, const MixerCall& mix, const SequenceInfo& sequence, const nn::StepContext& context, bool recompute_layers) const {
  std::vector<Variable> state{embedded};
  for (int i = 0; i < static_cast<int>(layers_.size()); ++i) {
    const auto layer = [this, i, mix, sequence, context](std::span<const Variable> in) -> std::vector<Variable> {
      const DType stream = in[0].dtype();
      const Variable middle = layers_[i]->mixer_norm.add(in[0], mix(i, ops::cast(in[0], context.compute)), stream).normal;
      return {layers_[i]->feed_forward_norm.add(middle, feed(i, ops::cast(middle, context.compute), sequence, context), stream).normal};
    };
    state = recompute_layers ? recompute(layer, state) : layer(state);
  }
  return ops::cast(state[0], context.compute);
}

Variable LayerStack::run_reversible(const Variable& embedded, const MixerCall& mix, const SequenceInfo& sequence, const nn::StepContext& context) const {
  std::vector<ReversibleBlock> blocks;
  for (int i = 0; i < static_cast<int>(layers_.size()); ++i) {
    blocks.push_back({.f = [this, i, mix, context](const Variable& x) { return mix(i, layers_[i]->mixer_norm(x, context.compute)); },
                      .g = [this, i, sequence, context](const Variable& x) { return feed(i, layers_[i]->feed_forward_norm(x, context.compute), sequence, context); }});
  }
  const auto y = reversible_sequence(std::move(blocks), embedded, embedded, memory_.reversible_backward);
  return (*final_norm_)(ops::scale(ops::add(y[0], y[1]), 0.5), context.compute);
}

Variable LayerStack::forward(const Variable& embedded, const SequenceInfo& sequence, const nn::StepContext& context) const {
  const MixerCall mix = [this, sequence, context](int i, const Variable& hidden) {
    const auto call = [this, i, sequence, context](std::span<const Variable> in) -> std::vector<Variable> {
      return {drop(layers_[i]->mixer->forward(in[0], sequence, context), static_cast<uint32_t>(2 * i), sequence, context)};
    };
    return memory_.recompute == Recompute::kAttention ? recompute(call, {&hidden, 1})[0] : call({&hidden, 1})[0];
  };
  if (memory_.reversible) return run_reversible(embedded, mix, sequence, context);
  const bool layers = memory_.recompute == Recompute::kLayer;
  return body_.norm == NormPlacement::kPre ? run(embedded, mix, sequence, context, layers) : run_post(embedded, mix, sequence, context, layers);
}

LayerStack::States LayerStack::start(int64_t batch, int64_t capacity, const nn::StepContext& context) const {
  States states;
  for (const auto& layer : layers_) states.push_back(layer->mixer->start(batch, capacity, context));
  return states;
}

Variable LayerStack::step(const Variable& embedded, States& states, const SequenceInfo& sequence, const nn::StepContext& context) const {
  const MixerCall mix = [this, &states, &sequence, &context](int i, const Variable& hidden) { return layers_[i]->mixer->step(hidden, *states[i], sequence, context); };
  if (memory_.reversible) return run_reversible(embedded, mix, sequence, context);
  return body_.norm == NormPlacement::kPre ? run(embedded, mix, sequence, context, false) : run_post(embedded, mix, sequence, context, false);
}

}  // namespace longhaul::models
