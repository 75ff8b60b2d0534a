#include "models/common/decoder_side.h"

#include <fmt/format.h>

namespace longhaul::models {

void decoder_side_fields(FieldVisitor& v, DecoderSide& o) {
  v.integer("decoder_layers", o.layers, {.min = 0, .max = 10000, .default_text = "layers"}, "layers of the decoder; 0 = layers");
  v.integer("decoder_heads", o.heads, {.min = 0, .max = 65536, .default_text = "heads"}, "attention heads of the decoder; 0 = heads");
  v.integer("decoder_feedforward", o.feedforward, {.min = 0, .max = int64_t{1} << 24, .default_text = "feedforward"}, "width of the decoder's feed-forward layer; 0 = feedforward");
  v.integer("decoder_max_positions", o.max_positions, {.min = 0, .unit = "tokens", .default_text = "max_positions"},
            "longest target the decoder's position table serves; 0 = max_positions");
}

void resolve_decoder_side(DecoderSide& o, const BodyOptions& encoder) {
  if (o.layers == 0) o.layers = encoder.layers;
  if (o.heads == 0) o.heads = encoder.heads;
  if (o.feedforward == 0) o.feedforward = encoder.feedforward;
  if (o.max_positions == 0) o.max_positions = encoder.max_positions;
}

void check_decoder_side(const DecoderSide& o, const BodyOptions& encoder, const ModelContext& context, const Complain& complain) {
  if (encoder.form != Form::kEncoderDecoder) {
    complain("family", "is an encoder-decoder; data.objective must be seq2seq, gap_sentences or span_corruption");
  }
  if (encoder.dim % o.heads != 0) complain("decoder_heads", fmt::format("does not divide model.dim = {}", encoder.dim));
  if (encoder.positions == Positions::kLearned && o.max_positions < context.target_length) {
    complain("decoder_max_positions", fmt::format("is less than the longest target, {} tokens (data.target_length)", context.target_length));
  }
  if (encoder.positions == Positions::kAxial && o.max_positions != encoder.max_positions) {
    complain("decoder_max_positions", fmt::format("differs from model.max_positions = {}: model.axial_shape serves both sides", encoder.max_positions));
  }
}

BodyOptions decoder_body(const BodyOptions& encoder, const DecoderSide& o) {
  BodyOptions out = encoder;
  out.layers = o.layers;
  out.heads = out.kv_heads = o.heads;
  out.head_dim = encoder.dim / o.heads;
  out.feedforward = o.feedforward;
  out.max_positions = o.max_positions;
  return out;
}

}  // namespace longhaul::models
