#include "models/compressive/model.h"

#include <algorithm>

#include "framework/autograd/tape.h"
#include "framework/base/error.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/shape.h"
#include "framework/ops/support.h"
#include "models/compressive/decode.h"

namespace longhaul::models {
namespace {

double number_of(const Variable& scalar) { return ops::cast_tensor(scalar.value(), DType::kF64).data<double>()[0]; }

}  // namespace

CompressiveModel::CompressiveModel(const ModelSpec& spec, nn::Initializer& init)
    : RecurrentModel(spec, init), compressive_(std::dynamic_pointer_cast<const CompressiveOptions>(spec.options)) {
  for (int i = 0; i < compressive_->body.layers; ++i) {
    compressions_.push_back(std::make_unique<Compression>(*compressive_, init));
    add("compression." + std::to_string(i), *compressions_.back());
  }
}

std::unique_ptr<SegmentMemory> CompressiveModel::start_memory(const MemoryRequest& request) const {
  const MemoryPlan plan = memory_plan(request);
  check<ConfigError>(plan.length % compressive_->rate == 0, "[memory] a memory of {} tokens is no multiple of model.memory.rate = {}, which makes one slot of as many\n  hint: {} is one", plan.length,
                     compressive_->rate, (plan.length / compressive_->rate + 1) * compressive_->rate);
  const int64_t slots = request.slots > 0 ? request.slots : request.training ? compressive_->compressed : compressive_->eval_compressed;
  return std::make_unique<CompressedMemory>(plan, CompressedPlan{.slots = slots, .rate = compressive_->rate, .usage = compressive_->compression.function == CompressionFunction::kMostUsed});
}

std::unique_ptr<PassMemory> CompressiveModel::start_pass(SegmentMemory& state, int64_t batch, const nn::StepContext& context) const {
  auto& both = dynamic_cast<CompressedMemory&>(state);
  return std::make_unique<CompressedPass>(both, *compressive_, memory_layers(), batch, context, spec_.memory.recompute != Recompute::kNone);
}

std::vector<CompressedLayer> CompressiveModel::memory_layers() const {
  std::vector<CompressedLayer> out;
  for (size_t i = 0; i < layers_.size(); ++i) out.push_back({layers_[i].get(), compressions_[i].get()});
  return out;
}

std::unique_ptr<DecodeState> CompressiveModel::start_decoding(int64_t batch, int64_t capacity, const nn::StepContext& context) const {
  const NoTapeScope quiet;
  const int64_t keys = compressive_->eval_compressed + compressive_->memory.eval_length + compressive_->segment;
  auto state = std::make_unique<CompressedDecode>(*compressive_, memory_layers(), batch, distances(keys, 0, context), context);
  prepare(*state, batch, capacity);
  return state;
}

Tensor CompressiveModel::decode(const Tensor& tokens, DecodeState& base, const nn::StepContext& context) const {
  const NoTapeScope quiet;
  check_room(tokens, base);
  auto& state = static_cast<CompressedDecode&>(base);
  Variable x;
  for (int64_t begin = 0, end = 0; begin < tokens.size(1); begin = end) {
    end = std::min(tokens.size(1), begin + state.room());
    x = tokens_.embed(id_columns(tokens, begin, end));
    const Pattern& seen = pattern(Extent::decode(end - begin, state.keys() + end - begin), false, 0);
    for (size_t i = 0; i < layers_.size(); ++i) x = state.step(i, x, seen, context);
    state.finish(end - begin, context);
    advance(state, end - begin);
  }
  if (x.size(1) > 1) x = ops::slice(x, 1, x.size(1) - 1, x.size(1));
  return tokens_.logits(finished(x, context)).value().reshape({tokens.size(0), spec_.vocabulary});
}

ops::CrossEntropyResult CompressiveModel::loss(const ModelInputs& inputs, const Tensor& targets, const nn::StepContext& context, const ops::LossOptions& options) const {
  if (!inputs.memory || !context.training || !compressive_->has_loss()) return RecurrentModel::loss(inputs, targets, context, options);
  const int64_t batch = inputs.tokens.size(0);
  const auto pass = start_pass(*inputs.memory, batch, context);
  auto result = tokens_.loss(run(inputs, pass.get(), context, nullptr), targets, chunked(options));
  const auto& losses = dynamic_cast<const CompressedPass&>(*pass).losses();
  // Means over the rows of the batch, and over its segments.
  const double share = static_cast<double>(batch) / static_cast<double>(inputs.memory->plan().rows * static_cast<int64_t>(losses.size()));
  for (const auto& segment : losses) {
    for (size_t i = 0; i < segment.size(); ++i) {
      if (!segment[i].defined()) continue;
      result.loss = ops::add(result.loss, ops::scale(segment[i], share * compressive_->compression.weight * options.auxiliary_scale));
      if (context.gauges && !device_.is_meta()) context.gauges->mean("compression_loss." + std::to_string(i), number_of(segment[i]));
    }
  }
  return result;
}

std::unique_ptr<LanguageModel> build_compressive(const ModelSpec& spec, nn::Initializer& init) {
  check<ConfigError>(spec.head.kind == HeadKind::kTokens, "[model] {} predicts tokens, no classes or spans", spec.family);
  return std::make_unique<CompressiveModel>(spec, init);
}

}  // namespace longhaul::models
