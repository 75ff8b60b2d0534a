#include "models/compressive/pass.h"

#include <algorithm>

#include "framework/autograd/tape.h"
#include "framework/ops/support.h"
#include "framework/tensor/memory.h"

namespace longhaul::models {
namespace {

Variable constant(const Variable& x) { return Variable(x.value()); }

Variable newest(const Variable& all, int64_t length) { return rows_between(all, std::max<int64_t>(0, all.size(1) - length), all.size(1)); }

}  // namespace

CompressedPass::CompressedPass(CompressedMemory& state, const CompressiveOptions& options, std::vector<CompressedLayer> layers, int64_t batch, const nn::StepContext& context, bool copy)
    : state_(state), options_(options), layers_(std::move(layers)), batch_(batch), context_(context), wants_losses_(context.training && options.has_loss()), kept_(layers_.size()) {
  const int64_t first = context.first_row;
  const bool rows = state.filled(first, batch) > 0, slots = state.filled_slots(first, batch) > 0;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const auto layer = static_cast<int64_t>(i);
    const auto read = [copy](const Tensor& view) { return Variable(copy ? copied(view) : view); };
    rows_.push_back(rows ? read(state.layer(layer, first, batch)) : Variable());
    slots_.push_back(slots ? read(state.slots(layer, first, batch)) : Variable());
    if (state.compressed_plan().usage) usage_.push_back(copied(state.usage(layer, first, batch)));
    if (state.plan().documents && (i == 0 || !same_documents())) slot_documents_.push_back(copied(state.slot_documents(layer, first, batch)));
  }
  steps_ = state.steps(first, batch);
  if (state.plan().documents) documents_ = copied(state.documents(first, batch));
}

Tensor CompressedPass::documents(size_t layer) const {
  if (slot_documents_.empty()) return {};
  return documents_.size(1) == 0 ? slot_documents_[0] : joined_ids(slot_documents_[same_documents() ? 0 : layer], documents_);
}

Tensor CompressedPass::count_usage(size_t layer, const Variable& own, const SegmentView& segment, int64_t leaving) {
  const int64_t slots = slots_of(layer), rows = rows_of(layer);
  const Tensor all = layers_[layer].layer->usage(own, seen(layer), segment, context_);
  const MemoryScope scope(MemoryFamily::kWorkspace);
  const auto& elementwise = ops::table(all).elementwise;
  const Tensor sums = Tensor::zeros({batch_, rows + own.size(1)}, all.dtype(), all.device());
  if (rows > 0) {
    const Tensor now = ops::dense(all.slice(1, slots, slots + rows));
    elementwise.binary(now, ops::dense(usage_[layer]), now, kernels::BinaryOp::kAdd);
    elementwise.copy(now, sums.slice(1, 0, rows));
  }
  usage_[layer] = ops::dense(sums.slice(1, leaving, sums.size(1)));
  if (leaving == 0) return {};
  std::vector<int64_t> steps(static_cast<size_t>(leaving), 0);
  for (size_t n = 0; n < std::min(steps.size(), steps_.size()); ++n) steps[n] = steps_[n] + 1;
  return most_used(ops::dense(sums.slice(1, 0, leaving)), steps, options_.rate);
}

Variable CompressedPass::loss_of(size_t layer, const Variable& own, const Variable& old, const Variable& slots) const {
  if (options_.compression.loss == CompressionLoss::kAutoEncoding) return mean_square(layers_[layer].compression->decode(slots), old);
  const RecurrentLayer& attention = *layers_[layer].layer;
  Variable query, target;
  {
    const NoTapeScope quiet;
    query = attention.recall_query(constant(own), context_);
    target = attention.recall(query, old, context_);
  }
  return mean_square(attention.recall(query, slots, context_), target);
}

void CompressedPass::take(size_t layer, const Variable& own, const SegmentView& segment, bool last) {
  const CompressedPlan& plan = state_.compressed_plan();
  if (layer == 0) losses_.emplace_back(layers_.size());
  length_ = own.size(1);
  if (length_ % plan.rate != 0) return;
  const int64_t leaving = std::max<int64_t>(0, rows_of(layer) + length_ - state_.plan().length);
  if (plan.usage) kept_[layer] = count_usage(layer, own, segment, leaving);
  const Variable all = last ? joined_rows(constant(rows_[layer]), constant(own)) : joined_rows(rows_[layer], own);
  rows_[layer] = rows_between(all, leaving, all.size(1));
  if (leaving == 0) return;
  const Variable old = constant(rows_between(constant(all), 0, leaving)), slots = (*layers_[layer].compression)(old, kept_[layer]);
  if (wants_losses_) losses_.back()[layer] = loss_of(layer, own, old, slots);
  const bool through_time = options_.compression.loss == CompressionLoss::kThroughTime && !last;
  slots_[layer] = through_time ? newest(joined_rows(slots_[layer], slots), plan.slots) : newest(joined_rows(constant(slots_[layer]), constant(slots)), plan.slots);
}

void CompressedPass::advance(const Tensor& documents) {
  const CompressedPlan& plan = state_.compressed_plan();
  if (length_ % plan.rate != 0) return;
  const int64_t rows = rows_of(0);
  if (plan.usage) {
    for (int64_t& steps : steps_) ++steps;
    steps_.resize(steps_.size() + static_cast<size_t>(length_), 0);
    steps_.erase(steps_.begin(), steps_.end() - rows);
  }
  if (!documents.defined()) return;
  const Tensor all = documents_.size(1) == 0 ? documents : joined_ids(documents_, documents);
  const int64_t leaving = all.size(1) - rows, fresh = leaving / plan.rate;
  documents_ = id_columns(all, leaving, all.size(1));
  if (leaving == 0) return;
  const MemoryScope scope(MemoryFamily::kWorkspace);
  const Tensor old = ops::dense(all.slice(1, 0, leaving));
  for (size_t i = 0; i < slot_documents_.size(); ++i) {
    const Tensor own = Tensor::empty({batch_, fresh}, DType::kI32, old.device());
    if (plan.usage) {
      ops::table(old).rows.gather(old.reshape({batch_ * leaving, 1}), kept_[i], own.reshape({batch_ * fresh, 1}));
    } else {
      for (int64_t s = 0; s < fresh; ++s) {
        const int64_t row = layers_[0].compression->oldest(s);
        ops::table(old).elementwise.copy(old.slice(1, row, row + 1), own.slice(1, s, s + 1));
      }
    }
    const Tensor slots = joined_ids(slot_documents_[i], own);
    slot_documents_[i] = id_columns(slots, std::max<int64_t>(0, slots.size(1) - plan.slots), slots.size(1));
  }
}

void CompressedPass::keep() {
  if (length_ % state_.compressed_plan().rate != 0) return;
  CompressedMemory::Kept kept{.layers = {}, .documents = documents_, .slots = {}, .slot_documents = slot_documents_, .usage = usage_, .steps = steps_};
  for (const Variable& rows : rows_) kept.layers.push_back(rows.value());
  for (const Variable& slots : slots_) kept.slots.push_back(slots.value());
  state_.store_both(context_.first_row, batch_, kept);
}

}  // namespace longhaul::models
