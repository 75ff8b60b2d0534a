#include "models/common/segment_memory.h"

#include <algorithm>

#include "framework/base/error.h"
#include "framework/kernels/backend.h"
#include "framework/tensor/memory.h"

namespace longhaul::models {

SegmentMemory::SegmentMemory(const MemoryPlan& plan) : plan_(plan), filled_(static_cast<size_t>(plan.rows), 0) {
  check<InternalError>(plan.rows > 0 && plan.length > 0, "a memory of {} rows and {} tokens", plan.rows, plan.length);
  const MemoryScope scope(MemoryFamily::kState);
  for (int64_t i = 0; i < plan.layers; ++i)
    layers_.push_back(Tensor::zeros({plan.rows, plan.length, plan.dim}, plan.dtype, plan.device));
  if (plan.documents) documents_ = Tensor::zeros({plan.rows, plan.length}, DType::kI32, plan.device);
  reset();
}

int64_t SegmentMemory::filled(int64_t first, int64_t count) const {
  check<InternalError>(first >= 0 && count > 0 && first + count <= plan_.rows, "rows {} to {} of a memory of {}", first, first + count, plan_.rows);
  const int64_t tokens = filled_[static_cast<size_t>(first)];
  for (int64_t r = first; r < first + count; ++r)
    check<InternalError>(filled_[static_cast<size_t>(r)] == tokens, "row {} of a memory has {} tokens, row {} has {}", r, filled_[static_cast<size_t>(r)], first, tokens);
  return tokens;
}

void SegmentMemory::reset() {
  std::fill(filled_.begin(), filled_.end(), plan_.zeros ? plan_.length : 0);
  for (const Tensor& layer : layers_) layer.zero();
  if (documents_.defined()) kernels::backend(plan_.device).elementwise.fill(documents_, -1);
}

Tensor SegmentMemory::layer(int64_t index, int64_t first, int64_t count) const {
  return layers_[static_cast<size_t>(index)].slice(0, first, first + count).slice(1, plan_.length - filled(first, count), plan_.length);
}

Tensor SegmentMemory::documents(int64_t first, int64_t count) const {
  if (!documents_.defined()) return {};
  return documents_.slice(0, first, first + count).slice(1, plan_.length - filled(first, count), plan_.length);
}

void SegmentMemory::store(int64_t first, int64_t count, const std::vector<Tensor>& layers, const Tensor& documents) {
  check<InternalError>(layers.size() == layers_.size() && documents.defined() == documents_.defined(), "a memory of {} layers receives {}", layers_.size(), layers.size());
  const int64_t tokens = layers.empty() ? 0 : layers[0].size(1), kept = std::min(tokens, plan_.length);
  const auto& copy = kernels::backend(plan_.device).elementwise.copy;
  for (size_t i = 0; i < layers.size(); ++i)
    copy(layers[i].slice(1, tokens - kept, tokens), layers_[i].slice(0, first, first + count).slice(1, plan_.length - kept, plan_.length));
  if (documents_.defined())
    copy(documents.slice(1, tokens - kept, tokens), documents_.slice(0, first, first + count).slice(1, plan_.length - kept, plan_.length));
  std::fill(filled_.begin() + first, filled_.begin() + first + count, kept);
}

void SegmentMemory::save_state(StateWriter& out) const {
  out.integers("filled", filled_);
  for (size_t i = 0; i < layers_.size(); ++i) out.tensor("layers." + std::to_string(i), layers_[i]);
  if (documents_.defined()) out.tensor("documents", documents_);
}

void SegmentMemory::load_state(StateReader& in) {
  filled_ = in.integers("filled");
  const auto fits = [this](int64_t tokens) { return tokens >= 0 && tokens <= plan_.length; };
  check<CheckpointError>(static_cast<int64_t>(filled_.size()) == plan_.rows && std::all_of(filled_.begin(), filled_.end(), fits),
                         "[memory] the checkpoint's memory has {} rows, at most {} tokens each; this run keeps {} rows of {} tokens\n  hint: train.batch_size and model.memory cannot change within a run",
                         filled_.size(), filled_.empty() ? 0 : *std::max_element(filled_.begin(), filled_.end()), plan_.rows, plan_.length);
  for (size_t i = 0; i < layers_.size(); ++i) in.tensor("layers." + std::to_string(i), layers_[i]);
  if (documents_.defined()) in.tensor("documents", documents_);
}

}  // namespace longhaul::models
