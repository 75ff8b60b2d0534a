// defines: BigBirdPegasusOptions, bigbird_pegasus_family
#pragma once
#include "models/bigbird/options.h"
#include "models/common/decoder_side.h"

namespace longhaul::models {

struct BigBirdPegasusOptions : FamilyOptions {
  BigBirdPegasusOptions() {
    body.activation = Activation::kGeluTanh;
    body.attention_bias = false;
  }
  DecoderSide decoder;
  BlockOptions blocks;           // of the encoder
  bool scale_embeddings = true;  // token vectors times sqrt(dim) on the input side
};

FamilyInfo bigbird_pegasus_family();

}  // namespace longhaul::models
