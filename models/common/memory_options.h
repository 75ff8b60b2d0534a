// defines: MemoryOptions, Recompute
#pragma once
#include <cstdint>

#include "framework/autograd/recompute.h"

namespace longhaul::models {

enum class Recompute { kNone, kLayer, kAttention };

/// How a model trades memory for time. Only `reversible` changes the function that is computed.
struct MemoryOptions {
  bool reversible = false;
  ReversibleBackward reversible_backward = ReversibleBackward::kRebuild;
  Recompute recompute = Recompute::kNone;
  int64_t chunk_feedforward = 0;  // rows; 0 = off
  int64_t chunk_loss = 0;         // rows of logits at a time; 0 = about 64 MiB of them
};

}  // namespace longhaul::models
