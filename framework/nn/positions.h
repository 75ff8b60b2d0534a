// defines: nn::PositionTable, nn::PositionKind, nn::axial_widths, nn::sinusoidal_table, nn::iota
#pragma once
#include <vector>

#include "framework/nn/module.h"

namespace longhaul::nn {

/// Rows of position vectors that are added to token embeddings.
enum class PositionKind {
  kLearned,     // one trained row a position
  kSinusoidal,  // Vaswani et al. 2017, section 3.5: sine in even columns, cosine in odd ones; not trained
  kAxial,       // Kitaev et al. 2020, section 2: a position is a point of a grid, its vector the rows of one table an axis, side by side
};

/// [rows, D] f32: sin(p / 10000^(2i/D)) in column 2i, cos in column 2i + 1.
Tensor sinusoidal_table(int64_t rows, int64_t width, Device device, DType dtype);

/// first, first + 1, ... as [count] i32.
Tensor iota(int64_t first, int64_t count, Device device);

/// Columns of each of `axes` tables of together `width`: equal ones, the last takes the rest.
std::vector<int64_t> axial_widths(int64_t width, size_t axes);

struct PositionOptions {
  PositionKind kind = PositionKind::kLearned;
  int64_t rows = 0;
  std::vector<int64_t> axial_shape = {};   // sizes of the axes, slowest first; their product is at least `rows`
  std::vector<int64_t> axial_widths = {};  // columns of each axis, whose sum is D; empty: equal ones, the last takes the rest
  double deviation = 0.02;
};

/// A table of `rows` positions of width D. Parameters: weight [rows, D] (learned), or axis.<a> [s_a, d_a] (axial).
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
  Variable weight_;
  std::vector<Variable> axes_;
};

}  // namespace longhaul::nn
