#include "models/reformer/options.h"

#include <fmt/format.h>

#include <algorithm>

#include "framework/attention/lsh.h"
#include "models/common/fields.h"
#include "models/reformer/model.h"
#include "models/reformer/reference.h"

namespace longhaul::models {
namespace {

constexpr std::pair<std::string_view, ReformerLayer> kLayerNames[] = {{"lsh", ReformerLayer::kLsh}, {"local", ReformerLayer::kLocal}, {"full", ReformerLayer::kFull}};

/// Null for a name that is none.
const std::pair<std::string_view, ReformerLayer>* find_layer(std::string_view name) {
  const auto* found = std::ranges::find_if(kLayerNames, [&](const auto& entry) { return entry.first == name; });
  return found == std::end(kLayerNames) ? nullptr : found;
}

ReformerOptions& own(FamilyOptions& base) { return dynamic_cast<ReformerOptions&>(base); }
const ReformerOptions& own(const FamilyOptions& base) { return dynamic_cast<const ReformerOptions&>(base); }

void reformer_fields(FieldVisitor& v, ReformerOptions& o) {
  v.list("attention_layers", o.attention_layers, {.may_be_empty = false, .default_text = "[local, lsh]"}, {},
         "lsh, local or full, repeated over the layers; an encoder_decoder has full attention, as the published one");
  v.integer("lsh_chunk", o.lsh_chunk, {.min = 1, .unit = "tokens"},
            "lsh: tokens of a chunk of the order by bucket; sequences no longer than it have full attention");
  v.integer("lsh_before", o.lsh_before, {.min = 0, .unit = "chunks"}, "lsh: chunks seen in front of the own one");
  v.integer("lsh_after", o.lsh_after, {.min = 0, .unit = "chunks", .automatic = -1},
            "lsh: chunks seen behind the own one; auto = 0 in a decoder, 1 in an encoder");
  v.integer("rounds", o.rounds, {.min = 1, .max = 64}, "lsh: hash rounds, whose attention is joined");
  v.integer("eval_rounds", o.eval_rounds, {.min = 0, .max = 64, .default_text = "rounds"},
            "lsh: rounds in evaluation and generation; 0 = rounds");
  v.list("buckets", o.buckets, {.min = 2, .max = int64_t{1} << 20}, {.max_size = 8},
         "lsh: even factors of the number of buckets, e.g. [128] or [64, 128]; empty = about 2 N / chunk, by each length N");
  v.boolean("count_once", o.count_once, {},
            "lsh: a key that rounds list several times for a token counts once (the paper), not each time (the published code)");
  v.number("lsh_attention_dropout", o.lsh_attention_dropout, {.min = 0, .max = 1, .below_max = true},
           "on attention weights of lsh layers; attention_dropout is for the others");
  v.integer("local_chunk", o.local_chunk, {.min = 1, .unit = "tokens"}, "local: tokens of a chunk");
  v.integer("local_before", o.local_before, {.min = 0, .unit = "chunks"}, "local: chunks seen in front of the own one");
  v.integer("local_after", o.local_after, {.min = 0, .unit = "chunks", .automatic = -1},
            "local: chunks seen behind the own one; auto = 0 in a decoder, 1 in an encoder");
  v.boolean("local_ring", o.local_ring, {}, "local: the first chunk of an encoder also sees the last, as in the published code");
}

void resolve_reformer(ReformerOptions& o, const ModelContext& context) {
  // The published code draws axial positions with deviation 1: the streams, whose concatenation the head reads, begin apart.
  if (o.body.position_std == 0 && o.body.positions == Positions::kAxial) o.body.position_std = 1;
  resolve_body(o.body, context);
  const bool sequence = o.body.form == Form::kEncoderDecoder;
  if (o.attention_layers.empty()) o.attention_layers = sequence ? std::vector<std::string>{"full"} : std::vector<std::string>{"local", "lsh"};
  for (int64_t* after : {&o.lsh_after, &o.local_after}) {
    if (*after < 0) *after = o.body.form == Form::kEncoder ? 1 : 0;
  }
  if (o.eval_rounds == 0) o.eval_rounds = o.rounds;
  o.body.join = sequence ? StreamJoin::kMean : StreamJoin::kConcatenation;
}

void check_layers(const ReformerOptions& o, const Complain& complain) {
  for (const std::string& name : o.attention_layers) {
    if (!find_layer(name)) {
      complain("attention_layers", fmt::format("has \"{}\": expected lsh, local or full", name));
      return;
    }
  }
  if (static_cast<int>(o.attention_layers.size()) > o.body.layers)
    complain("attention_layers", fmt::format("has {} values for {} layers", o.attention_layers.size(), o.body.layers));
  const auto holds = [&](std::string_view name) { return std::ranges::find(o.attention_layers, name) != o.attention_layers.end(); };
  if (o.body.form == Form::kEncoderDecoder && (holds("lsh") || holds("local")))
    complain("attention_layers", "of an encoder_decoder is [full]: the published one is reversible, but its attention is dense");
  if (!holds("lsh")) return;
  if (o.body.kv_heads != o.body.heads) complain("kv_heads", "differs from model.heads: lsh layers have one projection for queries and keys");
  if (o.body.positions == Positions::kRotary) complain("positions", "turns queries and keys; lsh layers have one projection for both, hashed as it is");
}

void check_reformer(const ReformerOptions& o, const ModelContext& context, const Complain& complain) {
  check_body(o.body, context, complain);
  check_layers(o, complain);
  for (const int64_t factor : o.buckets) {
    if (factor % 2 != 0) {
      complain("buckets", fmt::format("has {}: each factor is even, half of it are rotations, half their opposites", factor));
      break;
    }
  }
  int64_t product = 1;
  for (const int64_t factor : o.buckets) product = std::min<int64_t>(product * std::max<int64_t>(factor, 1), int64_t{1} << 31);
  if (product > int64_t{1} << 24) complain("buckets", "has a product above 2^24: there would be more buckets than tokens");
  if (o.local_ring && o.causal()) complain("local_ring", "has no effect in a decoder: the last chunk is the future of the first");
  if (context.reversible && o.body.join == StreamJoin::kConcatenation && o.body.tied_embeddings)
    complain("tied_embeddings", "cannot be: the head reads both streams, 2 dim columns, and the token table has dim");
}

}  // namespace

std::vector<int64_t> ReformerOptions::bucket_factors(int64_t length) const {
  return buckets.empty() ? attention::automatic_buckets(length, lsh_chunk, std::max(body.max_positions, length)) : buckets;
}

std::vector<ReformerLayer> reformer_layers(const ReformerOptions& options) {
  std::vector<ReformerLayer> out;
  for (int layer = 0; layer < options.body.layers; ++layer) {
    const auto& name = options.attention_layers[static_cast<size_t>(layer) % options.attention_layers.size()];
    out.push_back(find_layer(name)->second);
  }
  return out;
}

FamilyInfo reformer_family() {
  FamilyInfo info = family_of<ReformerOptions>("reformer", "tokens see those that hash alike, in reversible layers");
  info.cost = "time O(r N (b + 1) m D) for r rounds over chunks of m tokens that see b others, memory O(N D), whatever the depth";
  info.reversible = true;
  info.fields = [](FieldVisitor& v, FamilyOptions& base) {
    body_fields(v, base.body);
    reformer_fields(v, own(base));
  };
  info.resolve = [](FamilyOptions& base, const ModelContext& context) { resolve_reformer(own(base), context); };
  info.check = [](const FamilyOptions& base, const ModelContext& context, const Complain& complain) { check_reformer(own(base), context, complain); };
  info.pattern = [](const FamilyOptions& base, Form, const Extent& extent) { return reformer_picture(own(base), extent); };
  info.caution = [](const FamilyOptions& base) -> std::string {
    const auto layers = reformer_layers(own(base));
    if (!own(base).causal() || std::ranges::find(layers, ReformerLayer::kLsh) == layers.end()) return {};
    return "the buckets of lsh layers are sorted over the whole sequence: no token reads a later one, but later tokens move the "
           "borders of the chunks that say which earlier ones it sees; figures of left-to-right decoding can differ";
  };
  info.build = build_reformer;
  info.references = reformer_references();
  info.build_sequence = build_sequence_reformer;
  return info;
}

}  // namespace longhaul::models
