// defines: MemoryPlan, SegmentMemory
#pragma once
#include <vector>

#include "framework/base/state.h"
#include "framework/tensor/tensor.h"

namespace longhaul::models {

/// Sizes of a memory.
struct MemoryPlan {
  int64_t rows = 1;    // streams, by global row
  int64_t layers = 0, dim = 0;
  int64_t length = 0;  // tokens of each layer
  bool documents = false;   // remembers the document of every token
  bool zeros = false;       // a stream begins with `length` rows of zeros that are seen
  DType dtype = DType::kF32;
  Device device;
};

/// What a recurrent model carries from segment to segment for each stream of a batch: the inputs of its layers for the
/// newest tokens. Part of every checkpoint; a row belongs to the global row of its number, whoever computes it.
class SegmentMemory : public Stateful {
 public:
  explicit SegmentMemory(const MemoryPlan& plan);

  const MemoryPlan& plan() const { return plan_; }
  /// Tokens in the memory of the rows [first, first + count), which must stand equally far. throws InternalError
  int64_t filled(int64_t first, int64_t count) const;
  /// Tokens after which it is full.
  virtual int64_t reach() const { return plan_.length; }
  /// Tokens that segments are multiples of, but for the last one of a stream.
  virtual int64_t granularity() const { return 1; }
  /// All rows begin a new stream.
  virtual void reset();

  /// The newest `filled` tokens of a layer: a view [count, filled, D].
  Tensor layer(int64_t index, int64_t first, int64_t count) const;
  /// Their documents, [count, filled] i32; undefined without `documents`.
  Tensor documents(int64_t first, int64_t count) const;

  /// Replaces the memory of rows [first, first + count) by the newest tokens of `layers` [count, n, D], n at least as many
  /// as there are to keep, with their documents [count, n].
  void store(int64_t first, int64_t count, const std::vector<Tensor>& layers, const Tensor& documents);

  void save_state(StateWriter& out) const override;
  void load_state(StateReader& in) override;

 private:
  MemoryPlan plan_;
  std::vector<Tensor> layers_;   // [rows, length, D], the newest token last
  Tensor documents_;             // [rows, length] i32
  std::vector<int64_t> filled_;  // [rows]
};

}  // namespace longhaul::models
