// defines: EncoderLayout, encoder_layout_fields, check_encoder_layout, input_options, head_layout
#pragma once
#include "models/common/head.h"
#include "models/common/token_embedding.h"
#include "models/registry.h"

namespace longhaul::models {

/// Where encoders of public checkpoints (Devlin et al. 2019; Liu et al. 2019) differ from the plain body. The defaults are the
/// plain body.
struct EncoderLayout {
  int64_t token_types = 0;       // rows of a table of token types; 0: none
  int64_t position_offset = 0;   // rows of the position table before that of the first token
  int64_t padding_token = -1;    // id whose row gets no gradient from the input; -1: none
  bool embedding_norm = false;   // a norm of the sum of token, position and type
  bool norm_after_dropout = false;
  bool scale_embeddings = false;  // token vectors times sqrt(dim)
  bool head_transform = false;    // layers before the output projection, see encoder_layout_fields
};

void encoder_layout_fields(FieldVisitor& v, EncoderLayout& o);
void check_encoder_layout(const EncoderLayout& o, const BodyOptions& body, const Complain& complain);

InputOptions input_options(const EncoderLayout& o, const BodyOptions& body);
HeadLayout head_layout(const EncoderLayout& o, const BodyOptions& body);

}  // namespace longhaul::models
