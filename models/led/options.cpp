#include "models/led/options.h"

#include "models/common/fields.h"
#include "models/led/exchange.h"
#include "models/led/model.h"
#include "models/longformer/model.h"

namespace longhaul::models {

FamilyInfo led_family() {
  FamilyInfo info = family_of<LedOptions>("led", "encoder-decoder: Longformer's window and global tokens over the source, a dense decoder");
  info.fields = [](FieldVisitor& v, FamilyOptions& base) {
    auto& o = dynamic_cast<LedOptions&>(base);
    body_fields(v, o.body);
    decoder_side_fields(v, o.decoder);
    longformer_fields(v, o);
  };
  info.resolve = [](FamilyOptions& base, const ModelContext& context) {
    auto& o = dynamic_cast<LedOptions&>(base);
    resolve_body(o.body, context);
    resolve_decoder_side(o.decoder, o.body);
    resolve_longformer(o);
  };
  info.check = [](const FamilyOptions& base, const ModelContext& context, const Complain& complain) {
    const auto& o = dynamic_cast<const LedOptions&>(base);
    check_body(o.body, context, complain);
    check_decoder_side(o.decoder, o.body, context, complain);
    if (o.body.form == Form::kEncoderDecoder) check_longformer(o, context, complain);
  };
  info.pattern = [](const FamilyOptions& base, Form, const Extent& extent) { return longformer_picture(dynamic_cast<const LedOptions&>(base), Form::kEncoder, extent); };
  info.drawn = Form::kEncoderDecoder;
  info.cost = "time O(N (2 window + G) D + M (N + M) D), memory O((N + M) D), for a source of N and a target of M tokens, G of the source global; drawn: the encoder";
  info.references = {led_reference()};
  info.build_sequence = build_led;
  return info;
}

}  // namespace longhaul::models
