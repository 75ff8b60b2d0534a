// defines: LongformerOptions, longformer_fields, resolve_longformer, check_longformer, longformer_family
#pragma once
#include <vector>

#include "models/common/encoder_layout.h"
#include "models/common/global_tokens.h"
#include "models/longformer/pattern.h"
#include "models/registry.h"

namespace longhaul::models {

struct LongformerOptions : FamilyOptions {
  std::vector<int64_t> window = {256};  // of all layers, or of each. Two-sided: tokens on each side; causal: visible keys
  std::vector<int64_t> dilation;        // of all heads, of each head, or of each head of each layer; empty: 1
  GlobalChoice global_tokens = GlobalChoice::kAuto;
  std::vector<int64_t> global_positions;  // for GlobalChoice::kList
  EncoderLayout layout;

  /// The window of a layer as the pattern takes it.
  LongformerWindow window_of(int layer, bool causal) const;
  GlobalOptions globals() const { return {global_tokens, global_positions}; }
};

/// Windows and global tokens: their keys, the choice that `auto` stands for, and what cannot work. Shared with encoder-decoders
/// over this encoder.
void longformer_fields(FieldVisitor& v, LongformerOptions& o);
void resolve_longformer(LongformerOptions& o);
void check_longformer(const LongformerOptions& o, const ModelContext& context, const Complain& complain);

FamilyInfo longformer_family();

}  // namespace longhaul::models
