#include "models/longformer/options.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/common/fields.h"
#include "models/longformer/exchange.h"
#include "models/longformer/model.h"

namespace longhaul::models {
namespace {

bool causal(Form form) { return form == Form::kDecoder; }

void check_globals(const LongformerOptions& o, const ModelContext& context, const Complain& complain) {
  if (causal(o.body.form) && o.global_tokens != GlobalChoice::kNone) {
    complain("global_tokens",
             "would let a token see the future: in the second layer a global token has seen all of it; "
             "a decoder needs model.global_tokens = none");
  }
  if (o.global_tokens == GlobalChoice::kList) {
    if (o.global_positions.empty()) complain("global_positions", "is needed when model.global_tokens = list");
    for (const int64_t position : o.global_positions) {
      if (position >= context.sequence_length) {
        complain("global_positions", fmt::format("has position {}, which is out of range: sequences have {} tokens, numbered from 0", position, context.sequence_length));
        break;
      }
    }
  } else if (!o.global_positions.empty()) {
    complain("global_positions", "has no effect unless model.global_tokens = list");
  }
}

void check_windows(const LongformerOptions& o, const Complain& complain) {
  const auto layers = static_cast<size_t>(o.body.layers), heads = static_cast<size_t>(o.body.heads);
  if (o.window.size() != 1 && o.window.size() != layers) {
    complain("window", fmt::format("has {} values; expected one, or one for each of the {} layers", o.window.size(), layers));
  }
  if (causal(o.body.form) && std::ranges::any_of(o.window, [](int64_t window) { return window < 1; })) {
    complain("window", "of a decoder counts the query's own key: it is 1 or more");
  }
  const size_t given = o.dilation.size();
  if (given > 1 && given != heads && given != heads * layers) {
    complain("dilation", fmt::format("has {} values; expected one, one for each of the {} heads, or one for each head of each of the {} layers ({})", given, heads, layers, heads * layers));
  }
  if (o.body.kv_heads != o.body.heads && std::ranges::any_of(o.dilation, [](int64_t step) { return step != 1; })) {
    complain("dilation", "differs between heads that share keys: it needs model.kv_heads = model.heads");
  }
}

}  // namespace

LongformerWindow LongformerOptions::window_of(int layer, bool causal_form) const {
  const int64_t size = window[window.size() == 1 ? 0 : static_cast<size_t>(layer)];
  LongformerWindow out{causal_form ? size - 1 : size, causal_form ? 0 : size, dilation};
  const auto heads = static_cast<size_t>(body.heads);
  if (dilation.size() > heads) {
    const auto first = dilation.begin() + static_cast<int64_t>(heads) * layer;
    out.dilation.assign(first, first + static_cast<int64_t>(heads));
  }
  return out;
}

void longformer_fields(FieldVisitor& v, LongformerOptions& o) {
  v.list("window", o.window, {.min = 0, .unit = "tokens"}, {.min_size = 1},
         "tokens on each side (two-sided; half of attention_window of public checkpoints), or visible keys, the own one "
         "included (causal): one for all layers, or one for each");
  v.list("dilation", o.dilation, {.min = 1, .unit = "tokens"}, {},
         "steps between the keys of a window: one for all heads, one for each, or one for each head of each layer");
  v.choice("global_tokens", o.global_tokens,
           {{"auto", GlobalChoice::kAuto}, {"first", GlobalChoice::kFirst}, {"none", GlobalChoice::kNone}, {"list", GlobalChoice::kList}, {"data", GlobalChoice::kData}}, {},
           "first: the first token of a sequence and of each document in it; list: global_positions; data: what the task marks, "
           "such as a question or the first token of a text to classify (other objectives mark none); auto: first, and none for a decoder, where global tokens would let it see the future");
  v.list("global_positions", o.global_positions, {.min = 0, .unit = "tokens"}, {}, "positions for global_tokens: list, counted from 0");
}

void resolve_longformer(LongformerOptions& o) {
  if (o.global_tokens == GlobalChoice::kAuto) o.global_tokens = causal(o.body.form) ? GlobalChoice::kNone : GlobalChoice::kFirst;
}

void check_longformer(const LongformerOptions& o, const ModelContext& context, const Complain& complain) {
  check_windows(o, complain);
  check_globals(o, context, complain);
  if (o.body.positions == Positions::kRotary && o.global_tokens != GlobalChoice::kNone) {
    complain("positions", "turns queries and keys of one projection, and global rows have their own; use model.global_tokens = none, or other positions");
  }
}

FamilyInfo longformer_family() {
  FamilyInfo info = family_of<LongformerOptions>("longformer", "a sliding window beside global tokens that see all and are seen by all");
  info.cost = "time O(N (2 w + g) D + g N D) for w tokens on each side and g global tokens (causal: O(N w D)), memory O(N D)";
  info.drawn = Form::kEncoder;
  info.fields = [](FieldVisitor& v, FamilyOptions& base) {
    auto& o = dynamic_cast<LongformerOptions&>(base);
    body_fields(v, o.body);
    longformer_fields(v, o);
    encoder_layout_fields(v, o.layout);
  };
  info.resolve = [](FamilyOptions& base, const ModelContext& context) {
    auto& o = dynamic_cast<LongformerOptions&>(base);
    resolve_body(o.body, context);
    resolve_longformer(o);
  };
  info.check = [](const FamilyOptions& base, const ModelContext& context, const Complain& complain) {
    const auto& o = dynamic_cast<const LongformerOptions&>(base);
    check_body(o.body, context, complain);
    check_longformer(o, context, complain);
    check_encoder_layout(o.layout, o.body, complain);
  };
  info.pattern = [](const FamilyOptions& base, Form form, const Extent& extent) {
    const auto& o = dynamic_cast<const LongformerOptions&>(base);
    return longformer_picture(o, form, extent);
  };
  info.build = build_longformer;
  info.references = {std::make_shared<EncoderReference>("longformer", open_longformer)};
  return info;
}

}  // namespace longhaul::models
