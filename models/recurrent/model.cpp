#include "models/recurrent/model.h"

#include <algorithm>
#include <limits>

#include "framework/autograd/recompute.h"
#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/shape.h"
#include "framework/ops/support.h"
#include "framework/tensor/memory.h"
#include "models/recurrent/pattern.h"

namespace longhaul::models {
namespace {

constexpr int64_t kDecodeChunk = 512;  // tokens of a prompt that are read together

Tensor as_fact(const Tensor& ids) { return ids.defined() ? ids.reshape({ids.size(0), 1, ids.size(1)}) : Tensor(); }

struct RecurrentDecode final : DecodeState {
  std::vector<TokenCache> layers;
  int64_t tokens = 0;  // that are kept

  static std::string name_of(size_t layer) { return "layers." + std::to_string(layer); }
  std::map<std::string, Tensor> memory() const override {
    std::map<std::string, Tensor> out;
    for (size_t i = 0; i < layers.size(); ++i) {
      const TokenCache& cache = layers[i];
      out[name_of(i)] = ops::dense(cache.rows.slice(1, std::max(cache.begin, cache.end - tokens), cache.end));
    }
    return out;
  }
  void set_memory(const std::map<std::string, Tensor>& memory) override {
    check<CheckpointError>(memory.size() == layers.size(), "[generate] the state has {} layers, the model {}", memory.size(), layers.size());
    for (size_t i = 0; i < layers.size(); ++i) {
      TokenCache& cache = layers[i];
      const auto found = memory.find(name_of(i));
      check<CheckpointError>(found != memory.end(), "[generate] the state has no tensor \"{}\"", name_of(i));
      const Tensor& kept = found->second;
      Shape expected = cache.rows.shape();
      expected[1] = kept.rank() == 4 ? kept.size(1) : 0;
      check<CheckpointError>(kept.shape() == expected && kept.dtype() == cache.rows.dtype() && kept.size(1) <= tokens,
                             "[generate] \"{}\" of the state is {} {}, the model's memory is {} with at most {} tokens", name_of(i), kept.dtype(), kept.shape(), expected, tokens);
      ops::table(kept).elementwise.copy(kept, cache.rows.slice(1, 0, kept.size(1)));
      cache.begin = 0, cache.end = kept.size(1);
    }
  }
};

}  // namespace

RecurrentModel::RecurrentModel(const ModelSpec& spec, nn::Initializer& init)
    : LanguageModel(spec, init.device()), options_(std::dynamic_pointer_cast<const RecurrentOptions>(spec.options)), tokens_(*options_, spec.vocabulary, init) {
  const BodyOptions& body = options_->body;
  add("", tokens_);
  if (!options_->untied_biases) add("biases", *(biases_ = std::make_unique<PositionBiases>(body.heads, body.head_dim, body.init_std, init)));
  for (int i = 0; i < body.layers; ++i) {
    layers_.push_back(std::make_unique<RecurrentLayer>(*options_, i, spec.memory, biases_.get(), init));
    add("layers." + std::to_string(i), *layers_.back());
  }
  if (options_->has_final_norm()) {
    final_norm_ = std::make_unique<nn::Norm>(body.dim, body.bias, norm_options(body), init);
    add("final_norm", *final_norm_);
  }
}

std::unique_ptr<SegmentMemory> RecurrentModel::start_memory(const MemoryRequest& request) const {
  check<ConfigError>(request.slots == 0, "[memory] {} slots for a model of family {}, which has no compressed memory\n  hint: only compressive models have slots", request.slots, spec_.family);
  return std::make_unique<SegmentMemory>(memory_plan(request));
}

MemoryPlan RecurrentModel::memory_plan(const MemoryRequest& request) const {
  const SegmentOptions& m = options_->memory;
  return {.rows = request.rows,
          .layers = options_->body.layers,
          .dim = options_->body.dim,
          .length = request.length > 0 ? request.length : request.training ? m.length : m.eval_length,
          .documents = m.reset == MemoryReset::kDocument,
          .zeros = m.start == MemoryStart::kZeros,
          .dtype = request.compute,
          .device = device_};
}

const Pattern& RecurrentModel::pattern(const Extent& extent, bool documents, int64_t memory) const {
  const int64_t window = visible_keys(*options_, memory);
  for (const auto& [keys, cache] : patterns_) {
    if (keys == window) return cache->get(extent, documents);
  }
  patterns_.emplace_back(window, std::make_unique<PatternCache>([window](const Extent& with) { return recurrent_pattern(with, window); }));
  return patterns_.back().second->get(extent, documents);
}

Variable RecurrentModel::distances(int64_t keys, uint32_t segment, const nn::StepContext& context) const {
  const SegmentOptions& m = options_->memory;
  const int64_t clamp = context.training ? m.clamp : m.eval_clamp, rows = clamp > 0 ? std::min(keys, clamp + 1) : keys;
  if (!table_.defined() || table_.size(0) < rows) {
    const DType wide = context.compute == DType::kF64 ? DType::kF64 : DType::kF32;
    table_ = distance_table(std::max(rows, table_.defined() ? 2 * table_.size(0) : 0), options_->body.dim, device_, wide);
  }
  Variable out = ops::cast(Variable(table_.slice(0, 0, rows)), context.compute);
  if (!context.training || !options_->position_dropout || options_->body.embedding_dropout == 0) return out;
  return ops::dropout(out, {.stream = context.stream(1 + segment, RandomPurpose::kEmbeddingDropout), .probability = options_->body.embedding_dropout});
}

Variable RecurrentModel::finished(const Variable& x, const nn::StepContext& context) const {
  const Variable out = final_norm_ ? (*final_norm_)(x, context.compute) : ops::cast(x, context.compute);
  if (!context.training || options_->body.dropout == 0) return out;
  // A layer of its own behind those of all segments.
  const auto place = std::numeric_limits<uint32_t>::max();
  return ops::dropout(out, {.stream = context.stream(place, RandomPurpose::kResidualDropout), .probability = options_->body.dropout,
                            .first_element = static_cast<uint64_t>(context.first_row * out.size(1) * out.size(2))});
}

std::unique_ptr<PassMemory> RecurrentModel::start_pass(SegmentMemory& state, int64_t batch, const nn::StepContext& context) const {
  // What is computed again in the backward reads its inputs again, when the memory has moved on.
  return std::make_unique<SegmentPass>(state, context.first_row, batch, spec_.memory.recompute != Recompute::kNone);
}

Variable RecurrentModel::run(const ModelInputs& inputs, const nn::StepContext& context, SegmentTrace* trace) const {
  const auto pass = inputs.memory ? start_pass(*inputs.memory, inputs.tokens.size(0), context) : nullptr;
  return run(inputs, pass.get(), context, trace);
}

Variable RecurrentModel::run(const ModelInputs& inputs, PassMemory* memory, const nn::StepContext& context, SegmentTrace* trace) const {
  const Tensor& ids = inputs.tokens;
  check<ShapeError>(ids.rank() == 2 && ids.dtype() == DType::kI32, "[model] tokens must be [B, N] i32, received {} {}", ids.dtype(), ids.shape());
  Variable embedded = tokens_.embed(ids);
  if (context.training) {
    embedded = ops::dropout(embedded, {.stream = context.stream(0, RandomPurpose::kEmbeddingDropout), .probability = options_->body.embedding_dropout,
                                       .first_element = static_cast<uint64_t>(context.first_row * ids.size(1) * embedded.size(2))});
  }
  check<InternalError>(!memory || inputs.memory->plan().documents == inputs.documents.defined(), "documents and a memory that does not know them");
  const Variable out = read(embedded, inputs.documents, memory, context, trace);
  if (memory) memory->keep();
  return finished(out, context);
}

Variable RecurrentModel::read(const Variable& embedded, const Tensor& documents, PassMemory* memory, const nn::StepContext& context, SegmentTrace* trace) const {
  const int64_t length = embedded.size(1), kept = options_->memory.length;
  const int64_t segments = context.training && memory ? std::min(options_->memory.bptt_segments, length) : 1;
  const int64_t width = (length + segments - 1) / segments;
  std::vector<Variable> results;
  for (int64_t begin = 0; begin < length; begin += width) {
    const int64_t end = std::min(length, begin + width), before = memory ? memory->keys() : 0;
    const auto number = static_cast<uint32_t>(results.size());
    SegmentView segment;
    segment.pattern = pattern(Extent::decode(end - begin, before + end - begin), documents.defined(), memory ? memory->window() : kept);
    const Tensor own_documents = id_columns(documents, begin, end);
    segment.query_documents = as_fact(own_documents);
    segment.distances = distances(before + end - begin, number, context);
    segment.segment = number;
    Variable x = rows_between(embedded, begin, end);
    for (size_t i = 0; i < layers_.size(); ++i) {
      if (trace) trace->hidden.push_back(x);
      Variable seen;
      if (!memory) segment.key_documents = segment.query_documents;
      if (memory) {
        seen = memory->seen(i);
        if (documents.defined() && (i == 0 || !memory->same_documents())) segment.key_documents = as_fact(joined_ids(memory->documents(i), own_documents));
        memory->take(i, ops::cast(x, context.compute), segment, end == length);
      }
      const auto layer = [this, i, segment, context](std::span<const Variable> in) -> std::vector<Variable> { return {layers_[i]->forward(in[0], in[1], segment, context)}; };
      const Variable in[] = {x, seen};
      x = spec_.memory.recompute == Recompute::kLayer ? recompute(layer, in)[0] : layer(in)[0];
    }
    if (trace) trace->hidden.push_back(x);
    if (memory) memory->advance(own_documents);
    results.push_back(x);
  }
  return results.size() == 1 ? results[0] : ops::concat(results, 1);
}

ops::CrossEntropyResult RecurrentModel::loss(const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const {
  return tokens_.loss(hidden(inputs, context), targets, chunked(options));
}

std::unique_ptr<DecodeState> RecurrentModel::start_decoding(int64_t batch, int64_t capacity, const nn::StepContext& context) const {
  const NoTapeScope quiet;
  auto state = std::make_unique<RecurrentDecode>();
  prepare(*state, batch, capacity);
  state->tokens = options_->memory.eval_length;
  const bool zeros = options_->memory.start == MemoryStart::kZeros;
  // A memory that is given, or zeros, may come before the first token.
  const int64_t chunk = std::min(capacity, kDecodeChunk), most = state->tokens + capacity;
  const Variable rows = distances(std::min(most, state->tokens + chunk), 0, context);
  for (const auto& layer : layers_) {
    // Twice the memory, so that the newest half moves to the front once in as many tokens.
    state->layers.push_back(layer->start(batch, std::min(most, 2 * state->tokens + chunk), rows, context.compute));
    if (zeros) layer->fill_with_zeros(state->layers.back(), state->tokens);
  }
  return state;
}

Tensor RecurrentModel::decode(const Tensor& tokens, DecodeState& base, const nn::StepContext& context) const {
  const NoTapeScope quiet;
  check_room(tokens, base);
  auto& state = static_cast<RecurrentDecode&>(base);
  Variable x;
  for (int64_t begin = 0; begin < tokens.size(1); begin += kDecodeChunk) {
    const Tensor own = id_columns(tokens, begin, std::min(tokens.size(1), begin + kDecodeChunk));
    const int64_t count = own.size(1);
    x = tokens_.embed(own);
    for (size_t i = 0; i < layers_.size(); ++i) {
      TokenCache& cache = state.layers[i];
      cache.begin = std::max(cache.begin, cache.end - state.tokens);
      if (cache.end + count > cache.rows.size(1)) {
        const Tensor kept = cache.rows.slice(1, cache.begin, cache.end);
        ops::table(kept).elementwise.copy(kept, cache.rows.slice(1, 0, kept.size(1)));
        cache.begin = 0, cache.end = kept.size(1);
      }
      x = layers_[i]->step(x, cache, pattern(Extent::decode(count, cache.end - cache.begin + count), false, state.tokens), context);
    }
    advance(state, count);
  }
  const int64_t count = x.size(1);
  if (count > 1) x = ops::slice(x, 1, count - 1, count);
  return tokens_.logits(finished(x, context)).value().reshape({tokens.size(0), spec_.vocabulary});
}

std::unique_ptr<LanguageModel> build_recurrent(const ModelSpec& spec, nn::Initializer& init) {
  check<ConfigError>(spec.head.kind == HeadKind::kTokens, "[model] {} predicts tokens, no classes or spans", spec.family);
  return std::make_unique<RecurrentModel>(spec, init);
}

}  // namespace longhaul::models
