#include "models/recurrent/pass_memory.h"

#include <algorithm>

#include "framework/ops/shape.h"
#include "framework/ops/support.h"
#include "framework/tensor/memory.h"

namespace longhaul::models {

Variable rows_between(const Variable& x, int64_t begin, int64_t end) { return begin == 0 && end == x.size(1) ? x : ops::slice(x, 1, begin, end); }

Variable joined_rows(const Variable& before, const Variable& after) {
  if (!before.defined() || before.size(1) == 0) return after;
  const Variable parts[] = {before, after};
  return ops::concat(parts, 1);
}

Tensor id_columns(const Tensor& ids, int64_t begin, int64_t end) {
  if (!ids.defined() || (begin == 0 && end == ids.size(1))) return ids;
  const MemoryScope scope(MemoryFamily::kWorkspace);
  return ops::dense(ids.slice(1, begin, end));
}

Tensor joined_ids(const Tensor& before, const Tensor& after) {
  if (!before.defined() || before.size(1) == 0) return after;
  const MemoryScope scope(MemoryFamily::kWorkspace);
  const Tensor out = Tensor::empty({after.size(0), before.size(1) + after.size(1)}, after.dtype(), after.device());
  ops::table(out).elementwise.copy(before, out.slice(1, 0, before.size(1)));
  ops::table(out).elementwise.copy(after, out.slice(1, before.size(1), out.size(1)));
  return out;
}

Tensor copied(const Tensor& tensor) {
  const Tensor out = ops::like(tensor);
  ops::table(out).elementwise.copy(tensor, out);
  return out;
}

SegmentPass::SegmentPass(SegmentMemory& state, int64_t first, int64_t batch, bool copy)
    : state_(state), first_(first), batch_(batch), keys_(state.filled(first, batch)), memory_(static_cast<size_t>(state.plan().layers)), documents_(state.documents(first, batch)) {
  for (size_t i = 0; i < memory_.size() && keys_ > 0; ++i) {
    const Tensor kept = state.layer(static_cast<int64_t>(i), first, batch);
    memory_[i] = Variable(copy ? copied(kept) : kept);
  }
}

void SegmentPass::take(size_t layer, const Variable& own, const SegmentView&, bool last) {
  const Variable& seen = memory_[layer];
  const auto newest = [&](const Variable& all) { return rows_between(all, std::max<int64_t>(0, all.size(1) - state_.plan().length), all.size(1)); };
  memory_[layer] = last ? Variable(newest(joined_rows(Variable(seen.value()), Variable(own.value()))).value()) : newest(joined_rows(seen, own));
}

void SegmentPass::advance(const Tensor& documents) {
  keys_ = memory_[0].size(1);
  if (!documents.defined()) return;
  const Tensor all = joined_ids(documents_, documents);
  documents_ = id_columns(all, all.size(1) - keys_, all.size(1));
}

void SegmentPass::keep() {
  std::vector<Tensor> kept;
  for (const Variable& layer : memory_) kept.push_back(layer.value());
  state_.store(first_, batch_, kept, documents_);
}

}  // namespace longhaul::models
