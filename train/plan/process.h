// defines: process_bytes, available_memory, flops_per_token
#pragma once
#include <cstdint>

#include "models/model.h"

namespace longhaul::train {

/// Bytes of a training process besides its tensors: program and libraries, token shards being read, and the stacks and
/// packing buffers of its threads. Measured.
int64_t process_bytes(int threads);

/// Bytes this process may have: the machine's memory, or a smaller limit of its control group.
int64_t available_memory();

/// Floating-point operations of a training step for each token: 6 for each weight of a product (2 forward, 4 backward),
/// the output projection included, and 12 for each layer, head, head dimension and visible key (the scores and their
/// use, 4 forward and 8 backward). Recomputation is not counted.
/// With a source of `sequence_length` tokens and a target of `target_length` (else 0), a token is one of either: weights of
/// the encoder and of the keys and values of its output work on the source, all others on the target.
double flops_per_token(const models::ModelSpec& spec, const models::Model& model, int64_t sequence_length,
                       int64_t target_length = 0);

}  // namespace longhaul::train
