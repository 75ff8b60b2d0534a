// defines: NamedPattern, AttentionBenchmark, attention_benchmark, pattern_by_name, bench_attention
#pragma once
#include <optional>
#include <string>

#include "framework/pattern/pattern.h"
#include "framework/tensor/device.h"
#include "framework/tensor/dtype.h"
#include "train/cli/console.h"
#include "train/cli/options.h"

namespace longhaul::cli {

/// An attention to time: one call, and where tokens are global a second one for their rows.
struct NamedPattern {
  Pattern pattern;                          // its side keys are the global tokens, which stand first in the sequence
  bool relative = false;                    // with a relative query of the head's width and a table of all distances
  std::optional<Pattern> global_rows = {};  // what those tokens see
};

/// "causal", "dense", "window:KEYS" (causal, KEYS visible keys with the query's own), "longformer:WINDOW:GLOBALS" (WINDOW / 2
/// tokens on each side), "bigbird:BLOCK" (3 window, 2 global and 3 random blocks), "memory:KEYS" (causal, KEYS keys before the
/// first query) or "relative:KEYS" (the same with relative positions) over `length` tokens.
/// throws ConfigError with the names there are
NamedPattern pattern_by_name(const std::string& name, int64_t length, int64_t heads);

struct AttentionBenchmark {
  double forward_seconds = 0, backward_seconds = 0;  // medians
  double gflops_forward = 0,
         gflops_backward = 0;  // 1e9 FLOP a second over visited tiles: 2 products forward, 5 backward; relative 3, 8
  double peak_gflops_f32 = 0,
         peak_gflops_bf16 = 0;  // register loops of all threads, measured between the runs; 0 where unknown
  double forward_of_peak = 0, backward_of_peak = 0;  // share of the loop of this dtype
  int64_t tiles = 0, pairs = 0;
  int64_t peak_bytes = 0;  // of tensors, operands and gradients included
  int threads = 1;
};

/// The calls of block-sparse attention, forward and backward, on random operands of batch x heads x length x head_dim:
/// one untimed run, then `repeats`.
AttentionBenchmark attention_benchmark(const NamedPattern& named, int64_t batch, int64_t heads, int64_t head_dim,
                                       DType dtype, Device device, int64_t repeats);

/// longhaul bench attention
int bench_attention(const BenchOptions& options, Console& console);

}  // namespace longhaul::cli
