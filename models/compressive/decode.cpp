#include "models/compressive/decode.h"

#include <algorithm>

#include "framework/base/error.h"
#include "framework/ops/elementwise.h"
#include "framework/ops/shape.h"
#include "framework/ops/support.h"
#include "framework/tensor/memory.h"

namespace longhaul::models {
namespace {

void copy(const Tensor& from, const Tensor& to) { ops::table(to).elementwise.copy(from, to); }

std::string named(const char* what, size_t layer) { return std::string(what) + "." + std::to_string(layer); }

}  // namespace

CompressedDecode::CompressedDecode(const CompressiveOptions& options, std::vector<CompressedLayer> layers, int64_t batch, const Variable& distances, const nn::StepContext& context)
    : options_(options) {
  const MemoryScope scope(MemoryFamily::kState);
  const int64_t memory = options.memory.eval_length, slots = options.eval_compressed;
  const bool zeros = options.memory.start == MemoryStart::kZeros, counts = options.compression.function == CompressionFunction::kMostUsed;
  if (zeros) slots_ = slots, rows_ = memory;
  for (const CompressedLayer& parts : layers) {
    Layer layer{.parts = parts, .cache = parts.layer->start(batch, slots + memory + options.segment, distances, context.compute), .inputs = {}, .usage = {}};
    layer.inputs = Tensor::zeros({batch, memory + options.segment, options.body.dim}, context.compute, distances.device());
    if (counts) layer.usage = Tensor::zeros({batch, memory}, ops::statistics_dtype(context.compute), distances.device());
    if (zeros) parts.layer->fill_with_zeros(layer.cache, slots + memory);
    layers_.push_back(std::move(layer));
  }
  if (counts) steps_.resize(static_cast<size_t>(memory));
}

Variable CompressedDecode::step(size_t at, const Variable& x, const Pattern& pattern, const nn::StepContext& context) {
  Layer& layer = layers_[at];
  const int64_t held = rows_ + segment_, fresh = x.size(1);
  copy(x.value(), layer.inputs.slice(1, held, held + fresh));
  const Variable out = layer.parts.layer->step(x, layer.cache, pattern, context);
  if (layer.usage.defined() && rows_ > 0) {
    // A share of the segment's mean.
    const Tensor now = ops::dense(layer.parts.layer->usage(x, layer.cache, pattern, context).slice(1, slots_, slots_ + rows_));
    const Tensor counted = layer.usage.slice(1, layer.usage.size(1) - rows_, layer.usage.size(1)), sums = copied(counted);
    ops::table(now).elementwise.axpby(now, sums, static_cast<double>(fresh) / static_cast<double>(options_.segment), 1);
    copy(sums, counted);
  }
  return out;
}

// The memories of one layer behind a full segment.
void CompressedDecode::move(Layer& layer, int64_t leaving, const nn::StepContext& context) {
  const int64_t held = rows_ + segment_;
  if (leaving > 0) {
    const Variable old(ops::dense(layer.inputs.slice(1, 0, leaving)));
    Tensor kept;
    if (layer.usage.defined()) {
      const Tensor sums = Tensor::zeros({old.size(0), leaving}, layer.usage.dtype(), layer.usage.device());
      const int64_t counted = std::min(leaving, rows_), first = layer.usage.size(1) - rows_;
      std::vector<int64_t> steps(static_cast<size_t>(leaving), 0);
      if (counted > 0) copy(layer.usage.slice(1, first, first + counted), sums.slice(1, 0, counted));
      for (int64_t n = 0; n < counted; ++n) steps[static_cast<size_t>(n)] = steps_[static_cast<size_t>(first + n)] + 1;
      kept = most_used(sums, steps, options_.rate);
    }
    const Variable fresh((*layer.parts.compression)(old, kept).value());
    const int64_t dropped = std::max<int64_t>(0, slots_ + fresh.size(1) - options_.eval_compressed), stay = std::min(dropped, slots_), forgotten = dropped - stay;
    const Tensor made = layer.parts.layer->remembered(fresh, context);
    std::vector<Variable> parts;
    if (stay < slots_) parts.emplace_back(ops::dense(layer.cache.rows.slice(1, stay, slots_)));
    parts.emplace_back(ops::dense(made.slice(1, forgotten, made.size(1))));
    parts.emplace_back(ops::dense(layer.cache.rows.slice(1, slots_ + leaving, slots_ + held)));
    const Tensor all = ops::concat(parts, 1).value();
    copy(all, layer.cache.rows.slice(1, 0, all.size(1)));
    layer.cache.begin = 0, layer.cache.end = all.size(1);
    copy(copied(layer.inputs.slice(1, leaving, held)), layer.inputs.slice(1, 0, held - leaving));
  }
  if (!layer.usage.defined()) return;
  // The rows of the segment are new in the memory.
  const int64_t length = layer.usage.size(1), stay = std::max<int64_t>(0, rows_ - leaving);
  const Tensor before = stay > 0 ? copied(layer.usage.slice(1, length - stay, length)) : Tensor();
  layer.usage.zero();
  if (stay > 0) copy(before, layer.usage.slice(1, length - (held - leaving), length - (held - leaving) + stay));
}

void CompressedDecode::finish(int64_t count, const nn::StepContext& context) {
  segment_ += count;
  if (segment_ < options_.segment) return;
  const int64_t memory = options_.memory.eval_length, leaving = std::max<int64_t>(0, rows_ + segment_ - memory);
  for (Layer& layer : layers_) move(layer, leaving, context);
  if (!steps_.empty()) {
    std::vector<int64_t> steps(steps_.end() - rows_, steps_.end());
    for (int64_t& n : steps) ++n;
    steps.resize(static_cast<size_t>(rows_ + segment_), 0);
    std::fill(steps_.begin(), steps_.end(), 0);
    std::copy(steps.begin() + leaving, steps.end(), steps_.end() - (rows_ + segment_ - leaving));
  }
  slots_ = std::min(options_.eval_compressed, slots_ + leaving / options_.rate);
  rows_ += segment_ - leaving;
  segment_ = 0;
}

std::map<std::string, Tensor> CompressedDecode::memory() const {
  std::map<std::string, Tensor> out;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    out[named("layers", i)] = copied(layer.cache.rows.slice(1, 0, keys()));
    out[named("inputs", i)] = copied(layer.inputs.slice(1, 0, rows_ + segment_));
    if (layer.usage.defined()) out[named("usage", i)] = copied(layer.usage);
  }
  if (!steps_.empty()) out["steps"] = Tensor::of<int32_t>({static_cast<int64_t>(steps_.size())}, {steps_.begin(), steps_.end()});
  return out;
}

void CompressedDecode::set_memory(const std::map<std::string, Tensor>& memory) {
  const bool counts = !steps_.empty();
  const size_t expected = layers_.size() * (counts ? 3 : 2) + (counts ? 1 : 0);
  check<CheckpointError>(memory.size() == expected, "[generate] the state has {} tensors, the model's memories {}", memory.size(), expected);
  const auto find = [&](const std::string& name) -> const Tensor& {
    const auto found = memory.find(name);
    check<CheckpointError>(found != memory.end(), "[generate] the state has no tensor \"{}\"", name);
    return found->second;
  };
  /// A tensor whose size along axis 1 is its own, up to `most`; the other sizes and the dtype are the model's.
  const auto fitting = [&](const std::string& name, const Tensor& like, int64_t most) -> const Tensor& {
    const Tensor& given = find(name);
    Shape shape = like.shape();
    if (given.rank() == shape.rank()) shape[1] = given.size(1);
    check<CheckpointError>(given.shape() == shape && given.dtype() == like.dtype() && given.size(1) <= most, "[generate] \"{}\" of the state is {} {}, the model's is {} {} with at most {} rows", name,
                           given.dtype(), given.shape(), like.dtype(), shape, most);
    return given;
  };
  const int64_t length = options_.memory.eval_length, segment = options_.segment;
  const int64_t held = fitting("inputs.0", layers_[0].inputs, length + segment - 1).size(1);
  const int64_t slots = fitting("layers.0", layers_[0].cache.rows, options_.eval_compressed + held).size(1) - held;
  // Slots exist only where the memory is full; before, it holds whole segments.
  const int64_t rows = slots > 0 ? length : held / segment * segment;
  check<CheckpointError>(slots >= 0 && rows <= held && rows <= length && held - rows < segment, "[generate] the state has {} slots and {} tokens, which no memory of {} tokens with segments of {} can hold", slots,
                         held, length, segment);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Tensor &rows_of_cache = fitting(named("layers", i), layers_[i].cache.rows, slots + held), &inputs = fitting(named("inputs", i), layers_[i].inputs, held);
    check<CheckpointError>(rows_of_cache.size(1) == slots + held && inputs.size(1) == held, "[generate] layer {} of the state holds {} and {} rows, layer 0 {} and {}", i, rows_of_cache.size(1), inputs.size(1),
                           slots + held, held);
    copy(rows_of_cache, layers_[i].cache.rows.slice(1, 0, slots + held));
    layers_[i].cache.begin = 0, layers_[i].cache.end = slots + held;
    copy(inputs, layers_[i].inputs.slice(1, 0, held));
    if (!counts) continue;
    const Tensor& usage = fitting(named("usage", i), layers_[i].usage, length);
    check<CheckpointError>(usage.size(1) == length, "[generate] \"usage.{}\" of the state counts {} rows, the memory has {}", i, usage.size(1), length);
    copy(usage, layers_[i].usage);
  }
  slots_ = slots, rows_ = rows, segment_ = held - rows;
  if (!counts) return;
  const Tensor& steps = find("steps");
  check<CheckpointError>(steps.dtype() == DType::kI32 && steps.shape() == Shape{length}, "[generate] \"steps\" of the state is {} {}, expected i32 [{}]", steps.dtype(), steps.shape(), length);
  for (int64_t n = 0; n < length; ++n) steps_[static_cast<size_t>(n)] = steps.data<int32_t>()[n];
}

}  // namespace longhaul::models
