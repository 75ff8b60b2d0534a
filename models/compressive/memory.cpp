#include "models/compressive/memory.h"

#include <algorithm>

#include "framework/base/error.h"
#include "framework/kernels/backend.h"
#include "framework/ops/support.h"
#include "framework/tensor/memory.h"

namespace longhaul::models {
namespace {

/// The newest `n` columns of rows [first, first + count).
Tensor newest(const Tensor& all, int64_t first, int64_t count, int64_t n) { return all.slice(0, first, first + count).slice(1, all.size(1) - n, all.size(1)); }

void put(const Tensor& from, const Tensor& into, int64_t first, int64_t count) {
  if (from.defined() && from.size(1) > 0) ops::table(into).elementwise.copy(from, newest(into, first, count, from.size(1)));
}

}  // namespace

CompressedMemory::CompressedMemory(const MemoryPlan& plan, const CompressedPlan& compressed)
    : SegmentMemory(plan), compressed_(compressed), filled_slots_(static_cast<size_t>(plan.rows), 0) {
  check<InternalError>(compressed.slots > 0 && compressed.rate > 0, "a memory of {} slots at a rate of {}", compressed.slots, compressed.rate);
  const MemoryScope scope(MemoryFamily::kState);
  for (int64_t i = 0; i < plan.layers; ++i) {
    slots_.push_back(Tensor::zeros({plan.rows, compressed.slots, plan.dim}, plan.dtype, plan.device));
    if (compressed.usage) usage_.push_back(Tensor::zeros({plan.rows, plan.length}, ops::statistics_dtype(plan.dtype), plan.device));
  }
  if (compressed.usage) steps_.resize(static_cast<size_t>(plan.rows * plan.length));
  for (int64_t i = 0; plan.documents && i < (compressed.usage ? plan.layers : 1); ++i)
    slot_documents_.push_back(Tensor::zeros({plan.rows, compressed.slots}, DType::kI32, plan.device));
  CompressedMemory::reset();
}

void CompressedMemory::reset() {
  SegmentMemory::reset();
  std::fill(filled_slots_.begin(), filled_slots_.end(), plan().zeros ? compressed_.slots : 0);
  for (const Tensor& layer : slots_) layer.zero();
  for (const Tensor& layer : usage_) layer.zero();
  std::fill(steps_.begin(), steps_.end(), 0);
  for (const Tensor& documents : slot_documents_) kernels::backend(plan().device).elementwise.fill(documents, -1);
}

int64_t CompressedMemory::filled_slots(int64_t first, int64_t count) const {
  filled(first, count);  // checks the range, and that the rows stand equally far
  return filled_slots_[static_cast<size_t>(first)];
}

Tensor CompressedMemory::slots(int64_t layer, int64_t first, int64_t count) const { return newest(slots_[static_cast<size_t>(layer)], first, count, filled_slots(first, count)); }

Tensor CompressedMemory::slot_documents(int64_t layer, int64_t first, int64_t count) const {
  if (slot_documents_.empty()) return {};
  return newest(slot_documents_[compressed_.usage ? static_cast<size_t>(layer) : 0], first, count, filled_slots(first, count));
}

Tensor CompressedMemory::usage(int64_t layer, int64_t first, int64_t count) const { return newest(usage_[static_cast<size_t>(layer)], first, count, filled(first, count)); }

std::vector<int64_t> CompressedMemory::steps(int64_t first, int64_t count) const {
  if (steps_.empty()) return {};
  const auto end = steps_.begin() + (first + 1) * plan().length;
  return {end - filled(first, count), end};
}

void CompressedMemory::store_both(int64_t first, int64_t count, const Kept& kept) {
  store(first, count, kept.layers, kept.documents);
  for (size_t i = 0; i < slots_.size(); ++i) put(kept.slots[i], slots_[i], first, count);
  for (size_t i = 0; i < slot_documents_.size(); ++i) put(kept.slot_documents[i], slot_documents_[i], first, count);
  for (size_t i = 0; i < usage_.size(); ++i) put(kept.usage[i], usage_[i], first, count);
  for (int64_t r = first; r < first + count && !steps_.empty(); ++r)
    std::copy(kept.steps.begin(), kept.steps.end(), steps_.begin() + (r + 1) * plan().length - static_cast<int64_t>(kept.steps.size()));
  const int64_t slots = kept.slots[0].defined() ? kept.slots[0].size(1) : 0;
  std::fill(filled_slots_.begin() + first, filled_slots_.begin() + first + count, slots);
}

void CompressedMemory::save_state(StateWriter& out) const {
  SegmentMemory::save_state(out);
  out.integers("filled_slots", filled_slots_);
  for (size_t i = 0; i < slots_.size(); ++i) out.tensor("compressed." + std::to_string(i), slots_[i]);
  for (size_t i = 0; i < slot_documents_.size(); ++i) out.tensor("slot_documents." + std::to_string(i), slot_documents_[i]);
  for (size_t i = 0; i < usage_.size(); ++i) out.tensor("usage." + std::to_string(i), usage_[i]);
  if (compressed_.usage) out.integers("steps", steps_);
}

void CompressedMemory::load_state(StateReader& in) {
  SegmentMemory::load_state(in);
  filled_slots_ = in.integers("filled_slots");
  const auto fits = [this](int64_t slots) { return slots >= 0 && slots <= compressed_.slots; };
  check<CheckpointError>(static_cast<int64_t>(filled_slots_.size()) == plan().rows && std::all_of(filled_slots_.begin(), filled_slots_.end(), fits),
                         "[memory] the checkpoint's compressed memory has {} rows, at most {} slots each; this run keeps {} rows of {} slots\n"
                         "  hint: train.batch_size and model.memory cannot change within a run",
                         filled_slots_.size(), filled_slots_.empty() ? 0 : *std::max_element(filled_slots_.begin(), filled_slots_.end()), plan().rows, compressed_.slots);
  for (size_t i = 0; i < slots_.size(); ++i) in.tensor("compressed." + std::to_string(i), slots_[i]);
  for (size_t i = 0; i < slot_documents_.size(); ++i) in.tensor("slot_documents." + std::to_string(i), slot_documents_[i]);
  for (size_t i = 0; i < usage_.size(); ++i) in.tensor("usage." + std::to_string(i), usage_[i]);
  if (!compressed_.usage) return;
  steps_ = in.integers("steps");
  check<CheckpointError>(static_cast<int64_t>(steps_.size()) == plan().rows * plan().length, "[memory] the checkpoint counts the steps of {} tokens, this run keeps {} rows of {}", steps_.size(),
                         plan().rows, plan().length);
}

}  // namespace longhaul::models
