// defines: DecoderSide, decoder_side_fields, resolve_decoder_side, check_decoder_side, decoder_body
#pragma once
#include "models/registry.h"

namespace longhaul::models {

/// The decoder of an encoder-decoder whose encoder is the common body. A 0 stands for the encoder's value.
struct DecoderSide {
  int layers = 0;
  int heads = 0;
  int64_t feedforward = 0;
  int64_t max_positions = 0;
};

/// Declares decoder_layers, decoder_heads, decoder_feedforward and decoder_max_positions.
void decoder_side_fields(FieldVisitor& v, DecoderSide& o);
/// After resolve_body.
void resolve_decoder_side(DecoderSide& o, const BodyOptions& encoder);
/// Reports a form other than encoder_decoder, heads that do not divide the width, and tables too short for the targets.
void check_decoder_side(const DecoderSide& o, const BodyOptions& encoder, const ModelContext& context, const Complain& complain);
/// The whole body of the decoder: the encoder's with the values of `o`, and dense heads.
BodyOptions decoder_body(const BodyOptions& encoder, const DecoderSide& o);

}  // namespace longhaul::models
