#include "models/common/fields.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace longhaul::models {

namespace {

void check_axes(const BodyOptions& o, const Complain& complain) {
  if (o.axial_shape.size() < 2) {
    complain("axial_shape", "needs two factors or more, such as rows and columns, when model.positions = axial");
    return;
  }
  int64_t others = 1;  // all axes but the last; more than max_positions stays so
  for (size_t a = 0; a + 1 < o.axial_shape.size(); ++a) others = std::clamp<int64_t>(others * std::min(o.axial_shape[a], o.max_positions + 1), 1, o.max_positions + 1);
  if (others > o.max_positions || o.axial_shape.back() > o.max_positions || others * o.axial_shape.back() != o.max_positions) {
    std::vector<int64_t> fits = o.axial_shape;
    fits.back() = (o.max_positions + others - 1) / others;
    std::string hint = fmt::format("[{}] fits", fmt::join(fits, ", "));
    if (others > o.max_positions) {
      hint = "its axes before the last are too long already";
    } else if (others * fits.back() != o.max_positions) {
      hint = fmt::format("[{}] with model.max_positions = {} is the next that fits", fmt::join(fits, ", "), others * fits.back());
    }
    complain("axial_shape", fmt::format("has the product {}, not model.max_positions = {}: {}", fmt::join(o.axial_shape, " x "), o.max_positions, hint));
  }
  if (o.axial_widths.empty()) {
    if (static_cast<int64_t>(o.axial_shape.size()) > o.dim) complain("axial_shape", fmt::format("has more axes than model.dim = {} has columns", o.dim));
    return;
  }
  int64_t sum = 0;
  for (const int64_t width : o.axial_widths) sum += std::min(width, o.dim + 1);
  if (o.axial_widths.size() != o.axial_shape.size()) {
    complain("axial_widths", fmt::format("has {} values for the {} axes of model.axial_shape", o.axial_widths.size(), o.axial_shape.size()));
  } else if (sum != o.dim) {
    complain("axial_widths", fmt::format("has the sum {}, not model.dim = {}", fmt::join(o.axial_widths, " + "), o.dim));
  }
}

}  // namespace

void body_fields(FieldVisitor& v, BodyOptions& o) {
  v.choice(
      "form", o.form,
      {{"auto", Form::kAuto},
       {"decoder", Form::kDecoder},
       {"encoder", Form::kEncoder},
       {"encoder_decoder", Form::kEncoderDecoder}},
      {},
      "auto takes it from data.objective: causal gives decoder, seq2seq and the like encoder_decoder, others encoder");
  v.integer("dim", o.dim, {.min = 1, .max = int64_t{1} << 20}, "width of the model");
  v.integer("layers", o.layers, {.min = 1, .max = 10000}, "layers of the body (encoder_decoder: of each side)");
  v.integer("heads", o.heads, {.min = 1, .max = 65536}, "attention heads");
  v.integer("kv_heads", o.kv_heads, {.min = 0, .max = 65536, .default_text = "heads"},
            "key and value heads, a divisor of heads (grouped heads); 0 = heads");
  v.integer("head_dim", o.head_dim, {.min = 0, .max = int64_t{1} << 20, .default_text = "dim / heads"}, "width of a head; 0 = dim / heads");
  v.integer("feedforward", o.feedforward, {.min = 0, .max = int64_t{1} << 24, .default_text = "4 dim"},
            "width of the feed-forward layer; 0 = 4 dim");
  v.choice("activation", o.activation,
           {{"gelu", Activation::kGelu}, {"gelu_tanh", Activation::kGeluTanh}, {"relu", Activation::kRelu}, {"swiglu", Activation::kSwiglu}}, {},
           "of the feed-forward layer; gelu_tanh approximates gelu; swiglu has a third weight of the same size");
  v.choice("norm", o.norm, {{"pre", NormPlacement::kPre}, {"post", NormPlacement::kPost}}, {},
           "normalise before each sub-layer, or after the residual sum");
  v.choice("norm_kind", o.norm_kind, {{"layer", NormKind::kLayer}, {"rms", NormKind::kRms}}, {},
           "layer: mean and variance; rms: root mean square only");
  v.number("norm_eps", o.norm_eps, {.min = 0, .max = 1, .above_min = true}, "added to the variance");
  v.choice("positions", o.positions,
           {{"learned", Positions::kLearned},
            {"sinusoidal", Positions::kSinusoidal},
            {"rotary", Positions::kRotary},
            {"axial", Positions::kAxial},
            {"none", Positions::kNone}},
           {}, "how a token knows where it stands; axial needs axial_shape");
  v.number("rotary_base", o.rotary_base, {.min = 1, .above_min = true}, "base of the rotary frequencies");
  v.list("axial_shape", o.axial_shape, {.min = 1}, {.max_size = 7},
         "sizes of the axes of a grid of positions, whose product is max_positions, e.g. [64, 64]");
  v.list("axial_widths", o.axial_widths, {.min = 1}, {.max_size = 7},
         "columns of the vectors of each axis, whose sum is dim, e.g. [64, 192]; empty = equal ones");
  v.integer("max_positions", o.max_positions, {.min = 0, .unit = "tokens", .default_text = "data.sequence_length"},
            "longest sequence a position table serves; 0 = data.sequence_length");
  v.boolean("tied_embeddings", o.tied_embeddings, {}, "the output projection is the token embedding");
  v.choice("pooling", o.pooling, {{"first", Pooling::kFirst}, {"mean", Pooling::kMean}}, {},
           "classify: the class is read from the first position, or from the mean of all");
  v.boolean("bias", o.bias, {}, "biases of linear layers and norms");
  v.boolean("attention_bias", o.attention_bias, {}, "biases of the attention projections, where bias is true");
  v.integer("decoder_start", o.decoder_start, {.min = 0, .unit = "id", .automatic = -1},
            "encoder_decoder: the id before a target; auto = the tokenizer's begin id, else its pad id");
  v.number("dropout", o.dropout, {.min = 0, .max = 1, .below_max = true}, "after attention and feed-forward");
  v.number("attention_dropout", o.attention_dropout, {.min = 0, .max = 1, .below_max = true}, "on attention weights");
  v.number("embedding_dropout", o.embedding_dropout, {.min = 0, .max = 1, .below_max = true},
           "on the sum of token and position embedding");
  v.number("init_std", o.init_std, {.min = 0, .above_min = true}, "standard deviation of normal initial weights");
  v.number("position_std", o.position_std, {.min = 0, .default_text = "init_std"},
           "standard deviation of initial position vectors; 0 = init_std, with axial positions of a reformer 1");
  v.integer("vocabulary", o.vocabulary, {.min = 0, .unit = "ids", .default_text = "ids of the tokenizer"},
            "rows of the token table, at least the ids of the tokenizer with those the objective adds; public tables often have more");
}

void resolve_body(BodyOptions& o, const ModelContext& context) {
  if (o.form == Form::kAuto) o.form = context.form;
  if (o.kv_heads == 0) o.kv_heads = o.heads;
  if (o.head_dim == 0 && o.dim % o.heads == 0) o.head_dim = o.dim / o.heads;
  if (o.feedforward == 0) o.feedforward = 4 * o.dim;
  if (o.max_positions == 0) o.max_positions = context.sequence_length;
  if (o.position_std == 0) o.position_std = o.init_std;
}

void check_body(const BodyOptions& o, const ModelContext& context, const Complain& complain) {
  if (o.head_dim == 0) {
    complain("heads", fmt::format("does not divide model.dim = {}; choose a divisor or set model.head_dim", o.dim));
  }
  if (o.heads % o.kv_heads != 0) complain("kv_heads", fmt::format("does not divide model.heads = {}", o.heads));
  if (o.positions == Positions::kRotary && o.head_dim % 2 != 0) {
    complain("head_dim", "is odd; model.positions = rotary turns pairs, so it must be even");
  }
  const bool tabled = o.positions == Positions::kLearned || o.positions == Positions::kAxial;
  if (tabled && o.max_positions < context.sequence_length) {
    complain("max_positions", fmt::format("is less than the longest sequence of data.sequence_length and stages, {}",
                                          context.sequence_length));
  }
  if (o.positions == Positions::kAxial) {
    check_axes(o, complain);
  } else {
    if (!o.axial_shape.empty()) complain("axial_shape", "has no effect unless model.positions = axial");
    if (!o.axial_widths.empty()) complain("axial_widths", "has no effect unless model.positions = axial");
  }
  if (context.reversible && o.norm == NormPlacement::kPost) {
    complain("norm", "cannot be reversed: memory.reversible = true needs model.norm = pre");
  }
}

}  // namespace longhaul::models
