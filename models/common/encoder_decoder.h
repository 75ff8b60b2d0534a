// defines: EncoderDecoderOptions, build_encoder_decoder
#pragma once
#include <memory>

#include "models/common/head.h"
#include "models/common/mixer.h"
#include "models/common/token_embedding.h"
#include "models/model.h"

namespace longhaul::models {

/// The two sides of an encoder-decoder, and what stands around them.
struct EncoderDecoderOptions {
  BodyOptions encoder, decoder;  // of one width
  InputOptions input;            // of both sides
  bool own_inputs = false;       // each side has a position table and an embedding norm of its own
  HeadLayout head;
};

/// Encoder and decoder with one token table (Vaswani et al. 2017, section 3.1): the encoder's mixers see both sides, the
/// decoder's are causal, and each decoder layer attends to the encoded source. Parameters: those of TokenTable and
/// InputEmbedding (with own_inputs under encoder.* and decoder.*), head.*, encoder.layers.<i>.*, encoder.final_norm.*,
/// decoder.layers.<i>.*, decoder.final_norm.*.
std::unique_ptr<SequenceModel> build_encoder_decoder(const ModelSpec& spec, const EncoderDecoderOptions& options, const MixerFactory& encoder_mixers, const MixerFactory& decoder_mixers, nn::Initializer& init);

/// The same with the body of the specification on both sides.
std::unique_ptr<SequenceModel> build_encoder_decoder(const ModelSpec& spec, const MixerFactory& encoder_mixers, const MixerFactory& decoder_mixers, nn::Initializer& init);

}  // namespace longhaul::models
