// defines: SelectionSample, measure_selection
#pragma once
#include "framework/nn/gauges.h"
#include "framework/pattern/chunks.h"
#include "framework/tensor/tensor.h"

namespace longhaul::models {

/// What a hashed layer attends with, of one pass.
struct SelectionSample {
  Tensor query, key;        // [B, N, H d]; keys of length 1
  Tensor buckets;           // [B, H, R, N] i32
  Tensor valid, documents;  // [B, N] u8 and i32, or undefined
};

/// Tells how well hashing serves a layer, of the first sequence of the batch:
///
///   lsh_coverage  share of the weights of exact attention that falls on keys which some round lists, over a few tokens of
///                 every head: 1 = hashing loses nothing
///   lsh_balance   tokens in the fullest bucket of a round over the mean of all buckets, averaged: 1 = even
///
/// Host devices only; elsewhere nothing is told.
void measure_selection(const SelectionSample& sample, const pattern::ChunkOptions& chunks, int64_t buckets, nn::Gauges& gauges);

}  // namespace longhaul::models
