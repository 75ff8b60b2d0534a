#include "models/led/options.h"

#include <fmt/format.h>

#include "models/common/fields.h"
#include "models/led/exchange.h"
#include "models/led/model.h"

namespace longhaul::models {
namespace {

void check_globals(const LedOptions& o, const ModelContext& context, const Complain& complain) {
  const bool listed = o.globals.choice == GlobalChoice::kList;
  if (listed && o.globals.positions.empty()) complain("global_positions", "is empty: model.global_tokens = list needs positions");
  if (!listed && !o.globals.positions.empty()) complain("global_positions", "has no effect unless model.global_tokens = list");
  for (const int64_t position : o.globals.positions) {
    if (position >= context.sequence_length) {
      complain("global_positions", fmt::format("names position {}, sequences have {} tokens", position, context.sequence_length));
      break;
    }
  }
}

}  // namespace

FamilyInfo led_family() {
  FamilyInfo info = family_of<LedOptions>("led", "Longformer encoder, dense decoder: a window and global tokens over the source");
  info.fields = [](FieldVisitor& v, FamilyOptions& base) {
    auto& o = dynamic_cast<LedOptions&>(base);
    body_fields(v, o.body);
    decoder_side_fields(v, o.decoder);
    v.list("window", o.window, {.min = 1, .unit = "tokens"}, {.min_size = 1}, "encoder: tokens on each side; one number, or one for each layer from the bottom up");
    v.choice("global_tokens", o.globals.choice, {{"first", GlobalChoice::kFirst}, {"none", GlobalChoice::kNone}, {"list", GlobalChoice::kList}, {"data", GlobalChoice::kData}}, {},
             "encoder: what sees all and is seen by all; data: the tokens that the objective marks");
    v.list("global_positions", o.globals.positions, {.min = 0, .unit = "tokens"}, {}, "positions of the global tokens, for global_tokens: list");
  };
  info.resolve = [](FamilyOptions& base, const ModelContext& context) {
    auto& o = dynamic_cast<LedOptions&>(base);
    resolve_body(o.body, context);
    resolve_decoder_side(o.decoder, o.body);
  };
  info.check = [](const FamilyOptions& base, const ModelContext& context, const Complain& complain) {
    const auto& o = dynamic_cast<const LedOptions&>(base);
    check_body(o.body, context, complain);
    check_decoder_side(o.decoder, o.body, complain);
    check_globals(o, context, complain);
    if (o.window.size() != 1 && o.window.size() != static_cast<size_t>(o.body.layers)) {
      complain("window", fmt::format("has {} numbers for model.layers = {}: give one, or one for each layer", o.window.size(), o.body.layers));
    }
    if (o.body.positions == Positions::kRotary) complain("positions", "rotary turns no queries of global tokens: use learned, sinusoidal or none");
  };
  info.pattern = [](const FamilyOptions& base, Form, const Extent& extent) { return led_pattern(dynamic_cast<const LedOptions&>(base), extent); };
  info.references = {led_reference()};
  info.build_sequence = build_led;
  return info;
}

}  // namespace longhaul::models
