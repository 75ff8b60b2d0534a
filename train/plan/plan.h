// defines: PlanInputs, Plan, make_plan, largest_micro_batch, longest_sequence
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "framework/tensor/memory.h"
#include "train/config/config.h"

namespace longhaul::train {

/// What a plan needs besides the configuration.
struct PlanInputs {
  int64_t vocabulary = 256;  // ids of the tokenizer
  int64_t micro_batch = 0;   // sequences per forward; 0 = train.micro_batch, or the largest that fits the budget
  int threads = 0;           // of the run; 0 = run.threads, or the cores of this process
};

/// Memory and work of a training run, found by running its step on the meta device: shapes and bytes, no values.
struct Plan {
  int64_t parameters = 0;
  int64_t trained_parameters = 0;                // without frozen ones
  double flops_per_token = 0;                    // forward and backward, without recomputation
  std::array<int64_t, kMemoryFamilies> bytes{};  // of each family when the total is largest
  int64_t tensor_peak_bytes = 0;                 // live tensors at the highest moment of a step
  int64_t reserved_bytes = 0;                    // what the allocator takes from the system for them
  int64_t peak_bytes = 0;                        // of the process: reserved, program, libraries, threads
  int64_t micro_batch = 0;
  int64_t sequence_length = 0;
  int64_t budget = 0;  // bytes the run may take
  /// Kernels this step needs and the run's device does not have: "name (dtype)"; empty: it can run.
  std::vector<std::string> missing_kernels;
  bool fits() const { return peak_bytes <= budget; }
};

/// Plans one configuration. throws ConfigError when the model cannot be built
Plan make_plan(const config::Config& config, const PlanInputs& inputs);

/// The largest number of sequences per forward, a divisor of train.batch_size, whose plan fits the budget; 1 when none
/// does.
int64_t largest_micro_batch(const config::Config& config, const PlanInputs& inputs);

/// Tokens of the longest sequence (micro-batch 1) whose plan fits the budget, found by bisection to 1 part in 64,
/// beyond 131,072 tokens by the slope of the bytes there; 0 when not even one token fits.
int64_t longest_sequence(const config::Config& config, const PlanInputs& inputs);

/// A change of one key that would save memory.
struct Lever {
  std::string change;  // "memory.recompute: layer"
  int64_t saved = 0;   // bytes of the process's peak
};
/// Levers that save at least 2 %, the largest first.
std::vector<Lever> find_levers(const config::Config& config, const PlanInputs& inputs, const Plan& plan);

/// Bytes the run may take: memory.budget, or for `auto` nine tenths of what this process may use (physical memory, or
/// a smaller limit of its control group).
int64_t memory_budget(const config::Config& config);

}  // namespace longhaul::train
