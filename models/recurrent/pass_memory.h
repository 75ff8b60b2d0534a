// defines: PassMemory, SegmentPass, rows_between, joined_rows, joined_ids, id_columns, copied
#pragma once
#include <memory>
#include <vector>

#include "models/common/segment_memory.h"
#include "models/recurrent/layer.h"

namespace longhaul::models {

/// What the layers see of the tokens before each segment of one pass, and how it moves on with them. In a pass of more than
/// one segment gradients flow from each to the ones before; what leaves the pass is a constant.
class PassMemory {
 public:
  virtual ~PassMemory() = default;
  /// Keys before those of the segment that is next.
  virtual int64_t keys() const = 0;
  /// Keys that memory.same_length counts as the memory's.
  virtual int64_t window() const = 0;
  /// The keys, as inputs of a layer: [B, keys, D] in context.compute; undefined without keys.
  virtual Variable seen(size_t layer) const = 0;
  /// Their documents as a layer sees them: [B, keys] i32; undefined where documents are not told apart.
  virtual Tensor documents(size_t layer) const = 0;
  virtual bool same_documents() const { return true; }  // for all layers
  /// A layer is about to read the segment: `own` [B, N, D] is its input in context.compute. `last`: none follows in this pass.
  virtual void take(size_t layer, const Variable& own, const SegmentView& segment, bool last) = 0;
  /// All layers have read the segment, whose documents are [B, N] or undefined.
  virtual void advance(const Tensor& documents) = 0;
  /// All segments have been read: the memory of the stream becomes what is left.
  virtual void keep() = 0;
};

/// The memory of Transformer-XL: the newest inputs of each layer.
class SegmentPass final : public PassMemory {
 public:
  /// Goes on from rows [first, first + batch) of a memory. `copy`: what is seen is read again in the backward.
  SegmentPass(SegmentMemory& state, int64_t first, int64_t batch, bool copy);
  int64_t keys() const override { return keys_; }
  int64_t window() const override { return state_.plan().length; }
  Variable seen(size_t layer) const override { return memory_[layer]; }
  Tensor documents(size_t) const override { return documents_; }
  void take(size_t layer, const Variable& own, const SegmentView& segment, bool last) override;
  void advance(const Tensor& documents) override;
  void keep() override;

 private:
  SegmentMemory& state_;
  int64_t first_, batch_, keys_;
  std::vector<Variable> memory_;  // [B, keys, D]
  Tensor documents_;              // [B, keys] or undefined
};

/// Rows [begin, end) of x along axis 1, x itself where these are all; a view's copy.
Variable rows_between(const Variable& x, int64_t begin, int64_t end);
/// The rows of two parts one behind the other along axis 1; `before` may be undefined.
Variable joined_rows(const Variable& before, const Variable& after);
/// The same of ids.
Tensor joined_ids(const Tensor& before, const Tensor& after);
/// A dense copy of columns [begin, end) of [B, N] ids, or the ids where these are all.
Tensor id_columns(const Tensor& ids, int64_t begin, int64_t end);
/// A dense copy that stays when the tensor changes.
Tensor copied(const Tensor& tensor);

}  // namespace longhaul::models
