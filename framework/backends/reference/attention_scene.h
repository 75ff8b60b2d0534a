// defines: Scene, Rows
#pragma once
#include <cmath>
#include <functional>
#include <vector>

#include "framework/backends/reference/element.h"
#include "framework/kernels/attention.h"

namespace longhaul::reference {

/// A strided [B, H, rows, d] operand.
template <typename T>
class Rows {
 public:
  explicit Rows(const View& view) : view_(view) {}
  bool present() const { return view_.present; }
  T* at(int64_t b, int64_t h, int64_t row) const {
    return view_.as<T>() + b * view_.strides[0] + h * view_.strides[1] + row * view_.strides[2];
  }

 private:
  View view_;
};

/// One call of attention, seen pair by pair: which rows a query sees, with which additive terms and which dropout.
class Scene {
 public:
  Scene(const View& query, const View& key, const View& value, const kernels::AttentionOptions& options);

  /// A key as a query row sees it. Side keys have `side` set.
  struct Seen {
    int64_t row;  // tensor row of the key
    bool side;
    double add;        // logm
    bool last_resort;  // the score is kLastResortScore
    double keep;       // 1 without dropout; else 0 or 1 / (1 - p)
    int64_t distance;  // index into the relative tables, main keys only
  };

  /// Calls f(tensor row of a query, the keys it sees) for every query row of the pattern.
  void each_query(int64_t b, int64_t h, const std::function<void(int64_t, const std::vector<Seen>&)>& f) const;

  int64_t batch, heads, key_heads, head_dim, value_dim;
  int64_t key_head(int64_t h) const { return h / (heads / key_heads); }

 private:
  int64_t row_of(const TokenInfo& info, const Permutation& permutation, int64_t b, int64_t h, int64_t tile_row,
                 int64_t rows) const;
  double keep(int64_t b, int64_t h, int64_t i, int64_t j) const;

  const kernels::AttentionOptions& options_;
  const Pattern& pattern_;
  int64_t distances_ = 0;
};

}  // namespace longhaul::reference
