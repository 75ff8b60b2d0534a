// defines: ReformerLayer, ReformerOptions, reformer_layers, reformer_family
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "framework/pattern/chunks.h"
#include "models/registry.h"

namespace longhaul::models {

/// The attention of a layer.
enum class ReformerLayer {
  kLsh,    // queries and keys are one projection; tokens see those that hash alike
  kLocal,  // chunks of neighbours
  kFull,   // all tokens
};

struct ReformerOptions : FamilyOptions {
  ReformerOptions() {
    body.activation = Activation::kRelu;
    body.attention_bias = false;
    body.tied_embeddings = false;
  }

  std::vector<std::string> attention_layers;  // lsh, local, full; repeated over the layers. Empty: resolve chooses
  int64_t lsh_chunk = 64, lsh_before = 1, lsh_after = -1;  // -1: 0 in a decoder, 1 in an encoder
  int64_t rounds = 2;
  int64_t eval_rounds = 0;       // 0: rounds
  std::vector<int64_t> buckets;  // factors of the number of buckets; empty: from the length
  bool count_once = false;       // a key that rounds list several times for a token counts once
  double lsh_attention_dropout = 0;
  int64_t local_chunk = 64, local_before = 1, local_after = -1;
  bool local_ring = false;

  bool causal() const { return body.form == Form::kDecoder; }
  pattern::ChunkOptions lsh_chunks() const { return {lsh_chunk, lsh_before, lsh_after, causal()}; }
  pattern::ChunkOptions local_chunks() const { return {local_chunk, local_before, local_after, causal()}; }
  /// Factors of the number of buckets for sequences of `length` tokens.
  std::vector<int64_t> bucket_factors(int64_t length) const;
};

/// The kind of each layer.
std::vector<ReformerLayer> reformer_layers(const ReformerOptions& options);

FamilyInfo reformer_family();

}  // namespace longhaul::models
