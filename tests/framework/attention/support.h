// defines: Problem, Results, run_attention, largest_error
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "framework/kernels/backend.h"
#include "framework/pattern/builders.h"
#include "framework/tensor/tensor.h"

namespace longhaul::testing {

/// Numbers of one call, in f64; every device gets the same ones rounded to its operand type.
struct Problem {
  Pattern pattern;
  int64_t batch = 1, heads = 1, key_heads = 1, d = 16, dv = 16;
  float scale = 0.25f;
  double dropout = 0;
  uint64_t first_row = 0;
  bool with_dlse = true, with_dout = true;
  bool fused = false;  // query, key and value lie in one [B, N, parts] projection
  std::vector<double> query, key, value, side_key, side_value, dout, dlse;
  std::vector<uint8_t> query_valid, key_valid, side_valid, key_global;        // [B, rows] or empty
  std::vector<int32_t> query_segment, key_segment, query_bucket, key_bucket;  // [B, rows] or empty
  std::vector<double> relative_query, relative_key, relative_bias;
  int64_t distances = 0, first_distance = 0, dr = 0;

  /// Random operands of about unit size.
  void fill(uint64_t seed);
};

struct Results {
  std::vector<double> out, lse, dquery, dkey, dvalue, dside_key, dside_value, drelative_query, drelative_key,
      drelative_bias;
};

/// Rounds every operand to bf16, so that all devices start from the same numbers.
void round_to_bf16(Problem& problem);

/// Forward and backward on a device with operands of `dtype`. Threads 0: all.
Results run_attention(const Problem& problem, Device device, DType dtype, int threads = 0);

/// Largest |a - b| over max(1, largest |b|) of the vector; infinite where one is NaN and the other is not; -inf equals
/// -inf.
double largest_error(const std::vector<double>& a, const std::vector<double>& b);

/// Largest error over all results, with the name of the worst.
struct Worst {
  double error = 0;
  std::string of;
};
Worst compare(const Results& a, const Results& b);
bool same_bits(const Results& a, const Results& b);

}  // namespace longhaul::testing
