// defines: Form, Activation, NormPlacement, NormKind, Pooling, StreamJoin, Positions, BodyOptions, norm_options,
// feed_forward_activation
#pragma once
#include <cstdint>
#include <vector>

#include "framework/ops/feed_forward.h"
#include "framework/ops/norm.h"

namespace longhaul::models {

enum class Form { kAuto, kDecoder, kEncoder, kEncoderDecoder };
enum class Activation { kGelu, kGeluTanh, kRelu, kSwiglu };
enum class NormPlacement { kPre, kPost };
enum class NormKind { kLayer, kRms };
enum class Pooling { kFirst, kMean };
/// How the two streams of a reversible stack become what the head reads.
enum class StreamJoin { kMean, kConcatenation };
enum class Positions { kLearned, kSinusoidal, kRotary, kAxial, kNone };

/// What every family shares: the body around its attention. A 0 whose comment names a rule stands for that rule until
/// resolve() has replaced it.
struct BodyOptions {
  Form form = Form::kAuto;  // kAuto: from the objective
  int64_t dim = 512;        // D
  int layers = 6;
  int heads = 8;            // H
  int kv_heads = 0;         // key and value heads, a divisor of heads; 0 = heads
  int64_t head_dim = 0;     // d; 0 = dim / heads
  int64_t feedforward = 0;  // F; 0 = 4 dim
  Activation activation = Activation::kGelu;
  NormPlacement norm = NormPlacement::kPre;
  NormKind norm_kind = NormKind::kLayer;
  double norm_eps = 1e-5;
  Positions positions = Positions::kLearned;
  double rotary_base = 10000;        // Su et al. 2021, section 3.2.2
  std::vector<int64_t> axial_shape;   // factors of max_positions (Kitaev et al. 2020, section 2)
  std::vector<int64_t> axial_widths;  // of the vectors of each axis, whose sum is dim; empty = equal ones
  double position_std = 0;            // of initial position vectors; 0 = init_std
  int64_t max_positions = 0;         // rows of a position table; 0 = data.sequence_length
  bool tied_embeddings = true;       // the output projection is the token table
  Pooling pooling = Pooling::kFirst;  // what a class is read from
  StreamJoin join = StreamJoin::kMean;  // of a reversible stack; a family's choice
  bool bias = true;                  // of linear layers and norms
  int64_t decoder_start = -1;        // encoder_decoder: id before a target; -1 = the tokenizer's begin id, else its pad id
  bool attention_bias = true;        // of the projections of attention, where `bias` is on
  double dropout = 0;                // after attention and feed-forward
  double attention_dropout = 0;      // on attention weights
  double embedding_dropout = 0;      // after token and position embedding
  double init_std = 0.02;            // of normal initial weights
  int64_t vocabulary = 0;            // rows of the token table; 0 = the ids of tokenizer and objective
};

inline ops::NormOptions norm_options(const BodyOptions& body) {
  return {.eps = static_cast<float>(body.norm_eps), .rms = body.norm_kind == NormKind::kRms};
}

inline ops::Activation feed_forward_activation(const BodyOptions& body) {
  switch (body.activation) {
    case Activation::kGeluTanh: return ops::Activation::kGeluTanh;
    case Activation::kRelu: return ops::Activation::kRelu;
    case Activation::kSwiglu: return ops::Activation::kSwiglu;
    case Activation::kGelu: break;
  }
  return ops::Activation::kGelu;
}

}  // namespace longhaul::models
