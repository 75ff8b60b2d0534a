#include "models/recurrent/options.h"

#include <fmt/format.h>

#include "models/common/fields.h"

namespace longhaul::models {

RecurrentOptions::RecurrentOptions() {
  body.activation = Activation::kRelu;
  body.norm = NormPlacement::kPost;
  body.positions = Positions::kNone;
  body.attention_bias = false;
}

bool RecurrentOptions::has_final_norm() const {
  return final_norm == FinalNorm::kAuto ? body.norm == NormPlacement::kPre : final_norm == FinalNorm::kYes;
}

void recurrent_fields(FieldVisitor& v, RecurrentOptions& o, const std::function<void(FieldVisitor&)>& more) {
  body_fields(v, o.body);
  v.boolean("untied_biases", o.untied_biases, {},
            "content and position biases of each layer's own, instead of one pair for all layers");
  v.boolean("position_dropout", o.position_dropout, {}, "embedding_dropout acts on the table of distances as well");
  using FinalNorm = RecurrentOptions::FinalNorm;
  v.choice("final_norm", o.final_norm,
           {{"auto", FinalNorm::kAuto}, {"yes", FinalNorm::kYes}, {"no", FinalNorm::kNo}}, {},
           "a norm after the last layer; auto: with norm pre only");
  v.section("memory", {}, "states of earlier segments that queries see", [&](FieldVisitor& in) {
    SegmentOptions& m = o.memory;
    in.integer("length", m.length, {.min = 0, .unit = "tokens", .default_text = "data.sequence_length"},
               "kept of each layer in training; 0 = data.sequence_length");
    in.integer("eval_length", m.eval_length, {.min = 1, .unit = "tokens", .automatic = SegmentOptions::kAsInTraining},
               "kept in evaluation and generation; auto = length");
    in.choice("same_length", m.same_length,
              {{"off", SameLength::kOff},
               {"memory", SameLength::kMemory},
               {"memory_and_one", SameLength::kMemoryAndOne}},
              {}, "every query sees equally many keys: as many as the memory has rows, or one more");
    in.integer("clamp", m.clamp, {.min = 0, .unit = "tokens"}, "distances above it count as it; 0 = off");
    in.integer("eval_clamp", m.eval_clamp,
               {.min = 0, .unit = "tokens", .automatic = SegmentOptions::kAsInTraining},
               "of evaluation and generation; auto = clamp");
    in.choice("reset", m.reset, {{"none", MemoryReset::kNone}, {"document", MemoryReset::kDocument}}, {},
              "document: tokens see only tokens of their own document");
    in.choice("start", m.start, {{"empty", MemoryStart::kEmpty}, {"zeros", MemoryStart::kZeros}}, {},
              "of a stream: nothing, or rows of zeros that are seen");
    in.integer("bptt_segments", m.bptt_segments, {.min = 1, .max = 1024, .unit = "segments"},
               "segments of one step, through whose memory gradients flow");
    if (more) more(in);
  });
  v.section("adaptive", {}, "clusters of a large vocabulary", [&](FieldVisitor& in) {
    AdaptiveOptions& a = o.adaptive;
    in.list("cutoffs", a.cutoffs, {.min = 1, .unit = "ids"}, {},
            "first id of each cluster after the first, ids by falling frequency; none: one softmax");
    in.integer("div_val", a.div_val, {.min = 1, .max = 65536},
               "vectors of cluster i are embed_dim / div_val^i wide; 1: one table");
    in.integer("embed_dim", a.embed_dim, {.min = 0, .default_text = "dim"}, "width of token vectors; 0 = dim");
    in.choice("tied_projections", a.tied_projections,
              {{"none", TiedProjections::kNone},
               {"all_but_first", TiedProjections::kAllButFirst},
               {"all", TiedProjections::kAll}},
              {}, "clusters whose output uses the projection of the input");
  });
}

StreamNeeds stream_needs(const RecurrentOptions& o) {
  return {.segments = o.memory.bptt_segments,
          .memory = o.memory.length,
          .documents = o.memory.reset == MemoryReset::kDocument};
}

void resolve_recurrent(RecurrentOptions& o, const ModelContext& context) {
  resolve_body(o.body, context);
  o.segment = context.sequence_length;
  SegmentOptions& m = o.memory;
  if (m.length == 0) m.length = context.sequence_length;
  if (m.eval_length == SegmentOptions::kAsInTraining) m.eval_length = m.length;
  if (m.eval_clamp == SegmentOptions::kAsInTraining) m.eval_clamp = m.clamp;
  if (o.adaptive.embed_dim == 0) o.adaptive.embed_dim = o.body.dim;
}

void check_recurrent(const RecurrentOptions& o, const ModelContext& context, const Complain& complain) {
  check_body(o.body, context, complain);
  if (o.body.form != Form::kDecoder) complain("form", "must be decoder: the memory runs from the past to the future");
  if (o.body.positions != Positions::kNone)
    complain("positions", "must be none: attention knows positions by distance");
  if (o.body.kv_heads != o.body.heads) complain("kv_heads", fmt::format("must be model.heads = {}", o.body.heads));
  if (o.body.attention_bias) complain("attention_bias", "must be false: the biases of attention are those of content and position");
  if (o.body.dim % 2 != 0) complain("dim", "is odd; sines and cosines of distances come in pairs");
  if (context.reversible) complain("family", "keeps a memory of its layers' inputs and has no reversible form");
  const AdaptiveOptions& a = o.adaptive;
  int64_t before = 0, width = a.embed_dim;
  for (const int64_t cutoff : a.cutoffs) {
    if (cutoff <= before) {
      complain("adaptive.cutoffs", fmt::format("must increase: {} does not follow {}", cutoff, before));
      break;
    }
    before = cutoff;
    width /= a.div_val;
  }
  if (width < 1) {
    complain("adaptive.div_val", fmt::format("leaves the last of {} clusters no width: embed_dim = {}",
                                             a.cutoffs.size() + 1, a.embed_dim));
  }
}

}  // namespace longhaul::models
