#include "models/common/stack.h"

#include <cmath>

#include "framework/base/error.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/rows.h"
#include "framework/ops/shape.h"
#include "framework/ops/support.h"

namespace longhaul::models {
namespace {

/// Rows [M, D] of x [B, N, D].
Variable chosen(const Variable& x, const SequenceInfo& sequence) { return ops::gather_rows(ops::reshape(x, {sequence.batch * sequence.length, x.size(-1)}), sequence.rows); }

double norm_of(const Tensor& x) {
  const Tensor squares = Tensor::empty({1}, DType::kF64, x.device());
  ops::table(x).reduce.sum_of_squares(x, squares);
  return std::sqrt(squares.data<double>()[0]);
}

/// Both streams start as the same numbers, so what a rebuild finds between them is its error.
RebuiltInputs reconstruction_gauge(const nn::StepContext& context) {
  if (!context.gauges) return {};
  return [gauges = context.gauges](const Tensor& x1, const Tensor& x2) {
    if (!x1.device().is_host()) return;
    const Tensor difference = ops::like(x1);
    ops::table(x1).elementwise.axpby(x1, difference, 1.0f, 0.0f);
    ops::table(x1).elementwise.axpby(x2, difference, -1.0f, 1.0f);
    gauges->largest("reconstruction_error", norm_of(difference) / norm_of(x1));
  };
}

}  // namespace

int64_t output_width(const BodyOptions& body, const MemoryOptions& memory) { return memory.reversible && body.join == StreamJoin::kConcatenation ? 2 * body.dim : body.dim; }

LayerStack::Layer::Layer(const BodyOptions& body, const MemoryOptions& memory, int index, const MixerFactory& mixers, nn::Initializer& init, Source source)
    : mixer(mixers(index, init)),
      mixer_norm(body.dim, body.bias, norm_options(body), init),
      feed_forward_norm(body.dim, body.bias, norm_options(body), init),
      feed_forward(body.dim, body.feedforward, body.bias, body.init_std, body.init_std / std::sqrt(2.0 * body.layers),
                   {.activation = feed_forward_activation(body), .chunk_rows = memory.chunk_feedforward}, init) {
  add("attention_norm", mixer_norm);
  add("attention", *mixer);
  if (source == Source::kCrossAttention) {
    add("cross_norm", *(cross_norm = std::make_unique<nn::Norm>(body.dim, body.bias, norm_options(body), init)));
    add("cross", *(cross = std::make_unique<CrossAttention>(SelfAttentionOptions::from(body, index), init)));
  }
  add("feed_forward_norm", feed_forward_norm);
  add("feed_forward", feed_forward);
}

LayerStack::LayerStack(const BodyOptions& body, const MemoryOptions& memory, const MixerFactory& mixers, nn::Initializer& init, Source source) : body_(body), memory_(memory) {
  check<ConfigError>(!(memory.reversible && body.norm == NormPlacement::kPost), "[model] post-norm layers cannot be reversed\n  hint: model.norm: pre");
  for (int i = 0; i < body.layers; ++i) {
    layers_.push_back(std::make_unique<Layer>(body, memory, i, mixers, init, source));
    add("layers." + std::to_string(i), *layers_.back());
  }
  if (body.norm == NormPlacement::kPre) {
    final_norm_ = std::make_unique<nn::Norm>(output_width(body, memory), body.bias, norm_options(body), init);
    add("final_norm", *final_norm_);
  }
}

Variable LayerStack::drop(const Variable& x, int layer, uint32_t branch, const Pass& pass) const {
  if (!pass.context.training || body_.dropout == 0) return x;
  constexpr uint32_t kBranches = 3;
  const ops::DropoutOptions options{.stream = pass.context.stream(static_cast<uint32_t>(layer) * kBranches + branch, RandomPurpose::kResidualDropout), .probability = body_.dropout,
                                    .first_element = static_cast<uint64_t>(pass.context.first_row * pass.sequence.length * body_.dim)};
  return x.value().rank() == 2 ? ops::dropout_rows(x, pass.sequence.rows, options) : ops::dropout(x, options);
}

Variable LayerStack::mix(int layer, const Variable& hidden, const Pass& pass) const {
  const auto call = [this, layer, pass](std::span<const Variable> in) -> std::vector<Variable> { return {drop(pass.mix(layer, in[0]), layer, 0, pass)}; };
  return memory_.recompute == Recompute::kAttention ? recompute(call, {&hidden, 1})[0] : call({&hidden, 1})[0];
}

Variable LayerStack::cross(int layer, const Variable& hidden, const Variable& source, const Pass& pass) const { return drop(pass.cross(layer, hidden, source), layer, 1, pass); }

Variable LayerStack::feed(int layer, const Variable& hidden, const Pass& pass) const { return drop(layers_[layer]->feed_forward(hidden), layer, 2, pass); }

Variable LayerStack::run_pre(const Variable& embedded, const Pass& pass) const {
  // The residual sum of a branch waits until the next norm, which adds and normalises in one pass.
  enum { kStream, kPending, kSource };
  const auto add_and_normalize = [](const nn::Norm& norm, const Variable& stream, const Variable& pending, DType compute) -> ops::ResidualNormal {
    if (!pending.defined()) return {stream, norm(stream, compute)};
    return norm.add(stream, pending, compute);
  };
  std::vector<Variable> state{embedded, {}, pass.source};
  std::vector<Variable>* const seen = pass.sequence.hidden_states;
  for (int i = 0; i < static_cast<int>(layers_.size()); ++i) {
    const auto layer = [this, i, pass, add_and_normalize](std::span<const Variable> in) -> std::vector<Variable> {
      const DType compute = pass.context.compute;
      const Layer& parts = *layers_[i];
      auto sum = add_and_normalize(parts.mixer_norm, in[kStream], in[kPending], compute);
      Variable branch = mix(i, sum.normal, pass);
      if (parts.cross) {
        sum = parts.cross_norm->add(sum.sum, branch, compute);
        branch = cross(i, sum.normal, in[kSource], pass);
      }
      if (chooses(i, pass)) sum.sum = chosen(sum.sum, pass.sequence), branch = chosen(branch, pass.sequence);
      sum = parts.feed_forward_norm.add(sum.sum, branch, compute);
      // A recomputed layer keeps its inputs: one stream is less than a stream and a branch.
      if (pass.recompute) return {residual_sum(sum.sum, feed(i, sum.normal, pass))};
      return {sum.sum, feed(i, sum.normal, pass)};
    };
    if (seen) seen->push_back(state[kPending].defined() ? residual_sum(state[kStream], state[kPending]) : state[kStream]);
    const std::vector<Variable> next = pass.recompute ? recompute(layer, state) : layer(state);
    state[kStream] = next[kStream];
    state[kPending] = next.size() > 1 ? next[kPending] : Variable();
  }
  const Variable out = add_and_normalize(*final_norm_, state[kStream], state[kPending], pass.context.compute).normal;
  if (seen) seen->push_back(out);
  return out;
}

Variable LayerStack::run_post(const Variable& embedded, const Pass& pass) const {
  std::vector<Variable> state{embedded, pass.source};
  std::vector<Variable>* const seen = pass.sequence.hidden_states;
  if (seen) seen->push_back(embedded);
  for (int i = 0; i < static_cast<int>(layers_.size()); ++i) {
    const auto layer = [this, i, pass](std::span<const Variable> in) -> std::vector<Variable> {
      const DType stream = in[0].dtype(), compute = pass.context.compute;
      const Layer& parts = *layers_[i];
      Variable x = in[0], branch = mix(i, ops::cast(x, compute), pass);
      if (chooses(i, pass)) x = chosen(x, pass.sequence), branch = chosen(branch, pass.sequence);
      x = parts.mixer_norm.add(x, branch, stream).normal;
      if (parts.cross) x = parts.cross_norm->add(x, cross(i, ops::cast(x, compute), in[1], pass), stream).normal;
      return {parts.feed_forward_norm.add(x, feed(i, ops::cast(x, compute), pass), stream).normal};
    };
    state[0] = (pass.recompute ? recompute(layer, state) : layer(state))[0];
    if (seen) seen->push_back(state[0]);
  }
  return ops::cast(state[0], pass.context.compute);
}

std::vector<ReversibleBlock> LayerStack::reversible_blocks(const Pass& pass) const {
  // Each sub-layer of the second stream is added to the first, then the streams are exchanged: two of them are a block.
  std::vector<std::function<Variable(const Variable&)>> halves;
  for (int i = 0; i < static_cast<int>(layers_.size()); ++i) {
    halves.push_back([this, i, pass](const Variable& x) { return mix(i, layers_[i]->mixer_norm(x, pass.context.compute), pass); });
    if (layers_[i]->cross) halves.push_back([this, i, pass](const Variable& x) { return cross(i, (*layers_[i]->cross_norm)(x, pass.context.compute), pass.source, pass); });
    halves.push_back([this, i, pass](const Variable& x) { return feed(i, layers_[i]->feed_forward_norm(x, pass.context.compute), pass); });
  }
  std::vector<ReversibleBlock> blocks;
  for (size_t k = 0; k < halves.size(); k += 2) blocks.push_back({halves[k], k + 1 < halves.size() ? halves[k + 1] : nullptr});
  return blocks;
}

Variable LayerStack::run_reversible(const Variable& embedded, const Pass& pass) const {
  std::vector<ReversibleBlock> blocks = reversible_blocks(pass);
  const auto mode = memory_.recompute == Recompute::kLayer && memory_.reversible_backward == ReversibleBackward::kStored ? ReversibleBackward::kRecomputed : memory_.reversible_backward;
  std::vector<Variable> streams{embedded, embedded};
  if (std::vector<Variable>* const seen = pass.sequence.hidden_states) {
    check<InternalError>(!pass.source.defined(), "hidden states were asked for of reversible layers over a source");
    seen->push_back(embedded);
    for (ReversibleBlock& block : blocks) {
      streams = reversible_sequence({std::move(block)}, streams[0], streams[1], mode);
      seen->push_back(streams[1]);
    }
  } else {
    streams = reversible_sequence(std::move(blocks), streams[0], streams[1], mode, reconstruction_gauge(pass.context));
  }
  const bool few = pass.sequence.rows.defined();
  const Variable ends[] = {few ? chosen(streams[0], pass.sequence) : streams[0], few ? chosen(streams[1], pass.sequence) : streams[1]};
  streams.clear();
  const Variable joined = body_.join == StreamJoin::kConcatenation ? ops::concat(ends, ends[0].value().rank() - 1) : ops::scale(ops::add(ends[0], ends[1]), 0.5);
  return (*final_norm_)(joined, pass.context.compute);
}

Variable LayerStack::run(const Variable& embedded, const Pass& pass) const {
  if (memory_.reversible) return run_reversible(embedded, pass);
  return body_.norm == NormPlacement::kPre ? run_pre(embedded, pass) : run_post(embedded, pass);
}

Variable LayerStack::forward(const Variable& embedded, const SequenceInfo& sequence, const nn::StepContext& context, const EncodedSource& source) const {
  check<InternalError>(!sequence.rows.defined() || (!source.hidden.defined() && !sequence.hidden_states), "rows were asked for of a stack over a source, or with its hidden states");
  SequenceInfo chosen_once = sequence;
  if (!chosen_once.selections) chosen_once.selections = std::make_shared<Selections>();
  Pass pass{chosen_once, context, {}, {}, source.hidden, memory_.recompute == Recompute::kLayer};
  pass.mix = [this, sequence = std::move(chosen_once), context](int i, const Variable& hidden) { return layers_[i]->mixer->forward(hidden, sequence, context); };
  pass.cross = [this, context, valid = source.valid](int i, const Variable& hidden, const Variable& encoded) { return layers_[i]->cross->forward(hidden, {encoded, valid}, context); };
  return run(embedded, pass);
}

LayerStack::States LayerStack::start(int64_t batch, int64_t capacity, const nn::StepContext& context, const EncodedSource& source) const {
  States states;
  states.one_source = batch == 1;
  for (const auto& layer : layers_) {
    states.mixers.push_back(layer->mixer->start(batch, capacity, context));
    if (layer->cross) states.sources.push_back(layer->cross->project(source));
  }
  return states;
}

bool LayerStack::States::select(std::span<const int64_t> rows) {
  for (const auto& mixer : mixers) {
    if (!mixer->select(rows)) return false;
  }
  for (CrossAttention::Projected& source : sources) {
    if (one_source && source.key.size(0) == static_cast<int64_t>(rows.size())) break;
    source.key = Variable(gather_rows(source.key.value(), rows));
    source.value = Variable(gather_rows(source.value.value(), rows));
    if (source.valid.defined()) source.valid = gather_rows(source.valid, rows);
  }
  return true;
}

Variable LayerStack::step(const Variable& embedded, States& states, const SequenceInfo& sequence, const nn::StepContext& context) const {
  Pass pass{sequence, context, {}, {}, {}, false};
  pass.mix = [this, &states, &sequence, &context](int i, const Variable& hidden) { return layers_[i]->mixer->step(hidden, *states.mixers[i], sequence, context); };
  pass.cross = [this, &states, &context](int i, const Variable& hidden, const Variable&) { return layers_[i]->cross->attend(hidden, states.sources[i], context); };
  return run(embedded, pass);
}

}  // namespace longhaul::models
