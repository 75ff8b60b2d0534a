// defines: nn::PositionTable, nn::PositionKind, nn::sinusoidal_table, nn::iota
#pragma once
#include <vector>

#include "framework/nn/module.h"

namespace longhaul::nn {

/// Rows of position vectors that are added to token embeddings.
enum class PositionKind {
  kLearned,     // one trained row a position
  kSinusoidal,  // Vaswani et al. 2017, section 3.5: sine in even columns, cosine in odd ones; not trained
  kAxial,       // Kitaev et al. 2020, section 2: position (r, c) of a grid is the row r of one table beside row c of another
};

/// [rows, D] f32: sin(p / 10000^(2i/D)) in column 2i, cos in column 2i + 1.
Tensor sinusoidal_table(int64_t rows, int64_t width, Device device, DType dtype);

/// first, first + 1, ... as [count] i32.
Tensor iota(int64_t first, int64_t count, Device device);

struct PositionOptions {
  PositionKind kind = PositionKind::kLearned;
  int64_t rows = 0;
  std::vector<int64_t> axial_shape;  // {rows, columns} whose product is at least `rows`
  double deviation = 0.02;
};

/// A table of `rows` positions of width D. Parameters: weight [rows, D] (learned), or rows [s0, D/2] and columns [s1, D - D/2] (axial).
class PositionTable final : public Module {
 public:
  PositionTable(int64_t width, const PositionOptions& options, Initializer& init);
  /// Vectors of positions first .. first + count - 1: [count, D]. throws ConfigError when the table is too short
  Variable operator()(int64_t first, int64_t count) const;
  /// Vectors of any positions, index [..] i32 -> [.., D]; a learned table only. Position `frozen` gets no gradient.
  Variable at(const Tensor& index, int32_t frozen) const;
  int64_t rows() const { return options_.rows; }

 private:
  PositionOptions options_;
  Variable weight_, row_, column_;
};

}  // namespace longhaul::nn
