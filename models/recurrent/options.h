// defines: SegmentOptions, AdaptiveOptions, RecurrentOptions, recurrent_fields, resolve_recurrent, check_recurrent,
// stream_needs
#pragma once
#include "models/registry.h"

namespace longhaul::models {

/// Which keys of the memory a query sees (Dai et al. 2019; the two published implementations differ by one key).
enum class SameLength {
  kOff,               // every key of memory and segment up to the query
  kMemory,            // 0 <= distance < length: as many keys as the memory has rows, the own one included
  kMemoryAndOne,      // one more
};
enum class MemoryReset { kNone, kDocument };
enum class MemoryStart { kEmpty, kZeros };

/// The memory of a recurrent model: states of the tokens before the segment.
struct SegmentOptions {
  static constexpr int64_t kAsInTraining = -1;

  int64_t length = 0;                          // tokens kept for each layer; 0 = data.sequence_length
  int64_t eval_length = kAsInTraining;         // of evaluation and generation
  SameLength same_length = SameLength::kOff;
  int64_t clamp = 0;                           // distances above it share a row; 0 = off
  int64_t eval_clamp = kAsInTraining;
  MemoryReset reset = MemoryReset::kNone;
  MemoryStart start = MemoryStart::kEmpty;
  int64_t bptt_segments = 1;                   // segments that gradients flow through
};

enum class TiedProjections { kNone, kAllButFirst, kAll };

/// Clusters of the vocabulary, ids by falling frequency (Grave et al. 2017; input side: Baevski & Auli 2019).
struct AdaptiveOptions {
  std::vector<int64_t> cutoffs;  // first id of each cluster after the first; empty: one softmax
  int64_t div_val = 1;           // cluster i has vectors of width embed_dim / div_val^i
  int64_t embed_dim = 0;         // 0 = dim
  TiedProjections tied_projections = TiedProjections::kAllButFirst;
};

struct RecurrentOptions : FamilyOptions {
  RecurrentOptions();
  SegmentOptions memory;
  AdaptiveOptions adaptive;
  bool untied_biases = true;      // a pair of biases u, v for each layer instead of one pair
  bool position_dropout = true;   // embedding_dropout acts on the table of distances as well
  enum class FinalNorm { kAuto, kYes, kNo } final_norm = FinalNorm::kAuto;  // after the last layer; auto: where norms come first

  int64_t segment = 0;  // data.sequence_length, for pictures

  bool has_final_norm() const;
};

/// Declares the keys of all recurrent families. `more` declares further keys of the section memory.
void recurrent_fields(FieldVisitor& v, RecurrentOptions& o, const std::function<void(FieldVisitor&)>& more = {});
StreamNeeds stream_needs(const RecurrentOptions& o);
void resolve_recurrent(RecurrentOptions& o, const ModelContext& context);
void check_recurrent(const RecurrentOptions& o, const ModelContext& context, const Complain& complain);

}  // namespace longhaul::models
