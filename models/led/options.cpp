#include "models/led/options.h"

#include "models/led/exchange.h"
#include "models/led/model.h"
#include "models/longformer/model.h"

namespace longhaul::models {

FamilyInfo led_family() {
  FamilyInfo info = sequence_family<LedOptions>(
      "led", "encoder-decoder: Longformer's window and global tokens over the source, a dense decoder", longformer_fields, resolve_longformer,
      [](const LedOptions& o, const ModelContext& context, const Complain& complain) {
        if (o.body.form == Form::kEncoderDecoder) check_longformer(o, context, complain);
      });
  info.pattern = [](const FamilyOptions& base, Form, const Extent& extent) { return longformer_picture(dynamic_cast<const LedOptions&>(base), Form::kEncoder, extent); };
  info.cost = "time O(N (2 window + G) D + M (N + M) D), memory O((N + M) D), for a source of N and a target of M tokens, G of the source global; drawn: the encoder";
  info.references = {led_reference()};
  info.build_sequence = build_led;
  return info;
}

}  // namespace longhaul::models
