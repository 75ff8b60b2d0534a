// defines: CompressedPlan, CompressedMemory
#pragma once
#include <vector>

#include "models/common/segment_memory.h"

namespace longhaul::models {

/// Sizes of the compressed memory beside the other one.
struct CompressedPlan {
  int64_t slots = 1;  // of each layer
  int64_t rate = 1;   // rows a slot
  bool usage = false;  // remembers how much attention each row of the other memory received: slots are rows of it then
};

/// The two memories of a Compressive Transformer (Rae et al. 2019, section 3): rows that leave the first one live on in the
/// second, `rate` of them a slot. A slot has a document: that of the oldest token it is made of.
class CompressedMemory final : public SegmentMemory {
 public:
  CompressedMemory(const MemoryPlan& plan, const CompressedPlan& compressed);

  const CompressedPlan& compressed_plan() const { return compressed_; }
  /// Slots in use of the rows [first, first + count), which must stand equally far. throws InternalError
  int64_t filled_slots(int64_t first, int64_t count) const;
  int64_t reach() const override { return plan().length + compressed_.slots * compressed_.rate; }
  int64_t granularity() const override { return compressed_.rate; }
  void reset() override;

  /// Views of what is in use: slots of a layer [count, slots, D] and their documents [count, slots] i32, which all layers share
  /// unless slots are rows; usage of a layer's rows [count, filled] f32 (f64 for f64), summed over the steps that saw them.
  Tensor slots(int64_t layer, int64_t first, int64_t count) const;
  Tensor slot_documents(int64_t layer, int64_t first, int64_t count) const;
  Tensor usage(int64_t layer, int64_t first, int64_t count) const;
  /// Steps that have seen each of the rows in the other memory, oldest first.
  std::vector<int64_t> steps(int64_t first, int64_t count) const;

  /// What a pass leaves; see the functions above.
  struct Kept {
    std::vector<Tensor> layers;  // [count, n, D]
    Tensor documents;            // [count, n]
    std::vector<Tensor> slots, slot_documents, usage;
    std::vector<int64_t> steps;
  };
  /// Replaces the memories of rows [first, first + count); none of `kept` may be longer than its plan.
  void store_both(int64_t first, int64_t count, const Kept& kept);

  void save_state(StateWriter& out) const override;
  void load_state(StateReader& in) override;

 private:
  CompressedPlan compressed_;
  std::vector<Tensor> slots_;           // [rows, slots, D], the newest last
  std::vector<Tensor> slot_documents_;  // [rows, slots] i32; one, or one for each layer
  std::vector<Tensor> usage_;           // [rows, length]; of `usage` only
  std::vector<int64_t> steps_;          // [rows, length]; of `usage` only
  std::vector<int64_t> filled_slots_;   // [rows]
};

}  // namespace longhaul::models
