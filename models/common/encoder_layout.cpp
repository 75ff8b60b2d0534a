#include "models/common/encoder_layout.h"

#include <cmath>
#include <limits>

namespace longhaul::models {
namespace {

ops::UnaryOp unary_of(Activation activation) {
  switch (activation) {
    case Activation::kGeluTanh: return ops::UnaryOp::kGeluTanh;
    case Activation::kRelu: return ops::UnaryOp::kRelu;
    case Activation::kSwiglu: return ops::UnaryOp::kSilu;
    case Activation::kGelu: break;
  }
  return ops::UnaryOp::kGelu;
}

}  // namespace

void encoder_layout_fields(FieldVisitor& v, EncoderLayout& o) {
  v.integer("token_types", o.token_types, {.min = 0, .max = 65536}, "kinds of tokens with a learned vector each, such as question and context; 0: none");
  v.integer("position_offset", o.position_offset, {.min = 0, .max = 65536},
            "rows of the position table before the first token's, 2 in RoBERTa and its descendants; with padding_token they skip padding");
  v.integer("padding_token", o.padding_token, {.min = -1, .max = std::numeric_limits<int32_t>::max()}, "id of padding, whose vector the input does not train; -1: none");
  v.boolean("embedding_norm", o.embedding_norm, {}, "normalise the sum of token, position and type vectors");
  v.boolean("norm_after_dropout", o.norm_after_dropout, {}, "that norm stands behind the embedding dropout, as in BigBird");
  v.boolean("scale_embeddings", o.scale_embeddings, {}, "token vectors are multiplied by the square root of dim");
  v.boolean("head_transform", o.head_transform, {}, "the token head has a layer, an activation and a norm before the projection, and a bias, as in BERT; the head for answers has a feed-forward layer, as in BigBird");
}

void check_encoder_layout(const EncoderLayout& o, const BodyOptions& body, const Complain& complain) {
  if (o.position_offset > 0 && body.positions != Positions::kLearned) complain("position_offset", "needs model.positions = learned");
  if (o.norm_after_dropout && !o.embedding_norm) complain("norm_after_dropout", "has no effect unless model.embedding_norm = true");
}

InputOptions input_options(const EncoderLayout& o, const BodyOptions& body) {
  InputOptions out;
  out.scale = o.scale_embeddings ? std::sqrt(static_cast<double>(body.dim)) : 1;
  out.norm = o.embedding_norm;
  out.norm_after_dropout = o.norm_after_dropout;
  out.token_types = o.token_types;
  out.position_offset = o.position_offset;
  out.padding_token = static_cast<int32_t>(o.padding_token);
  return out;
}

HeadLayout head_layout(const EncoderLayout& o, const BodyOptions& body) {
  HeadLayout out;
  out.transform = out.output_bias = out.span_layer = o.head_transform;
  out.transform_activation = unary_of(body.activation);
  return out;
}

}  // namespace longhaul::models
